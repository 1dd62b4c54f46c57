"""One door to every model that can classify: `scores(images) -> probabilities`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from keras import ops

from tfface.data.records.manifest import IDENTITIES_FILE
from tfface.errors import InputError
from tfface.evaluation.class_names import read_class_names
from tfface.evaluation.embedders.embedder import Embedder, load_embedder
from tfface.evaluation.embedders.external_input import PixelInput
from tfface.evaluation.embedders.keras_model import MODEL_FILE
from tfface.evaluation.embedders.raw_pixels import PixelEmbedder
from tfface.evaluation.scores_to_probabilities import GivenScores, ScoreKind
from tfface.heads.head_file import HEAD_FILE, load_head


class Classifier:
    """Tells which of some classes images are of.

    Args:
        embedder: gives, without the sum over mirrored images, what `to_probabilities` takes.
        to_probabilities: float32 [n, size] -> float [n, num_classes].
        classes: their names; position = label.
        flip: take the mean of the probabilities of an image and of its mirrored copy.
    Attributes:
        name: what tables and messages call it.
        image_size: (height, width) of the images it takes.
        batch_size: how many images are best given at a time; `scores` takes any number.
        classes: as given.
    """

    def __init__(
        self,
        embedder: Embedder,
        to_probabilities: Callable[[np.ndarray], np.ndarray],
        classes: Sequence[str],
        flip: bool = False,
    ):
        self.name = embedder.name
        self.image_size = embedder.image_size
        self.batch_size = embedder.batch_size
        self.classes = list(classes)
        self._embedder = embedder
        self._to_probabilities = to_probabilities
        self._flip = flip

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Returns the probability of each class, float32 [n, num_classes]; rows sum to 1.

        Args:
            images: uint8 [n, height, width, 3], RGB; at least one.
        """
        found = self._scores(images)
        if self._flip:
            found = (found + self._scores(images[:, :, ::-1])) / 2
        return found

    def _scores(self, images: np.ndarray) -> np.ndarray:
        return self._to_probabilities(self._embedder.embed(images))


def load_classifier(
    model: str | Path,
    *,
    classes: Path | None = None,
    scores: ScoreKind = "auto",
    flip: bool = False,
    batch_size: int = 64,
    pixels: PixelInput | None = None,
    image_size: tuple[int, int] | None = None,
    output: str | None = None,
) -> Classifier:
    """Returns the classifier that a tool's MODEL argument means.

    Args:
        model: a run folder, or the path of a model of others that gives a score for each class (a
            single one for the second of two classes will do), in any format that `load_embedder`
            knows.
        classes: of a model of others, the file with its classes' names (see `read_class_names`).
        scores: what such a model gives, as `GivenScores` has it.
        flip: take the mean of the probabilities of an image and of its mirrored copy.
        batch_size: images classified in one pass.
        pixels, image_size, output: as `load_embedder` has them.
    Raises InputError: as `load_embedder`; the run folder can't classify; the classes aren't named,
        or are though the run folder names them.
    """
    embedder = load_embedder(
        model,
        batch_size=batch_size,
        flip=False,
        pixels=pixels,
        image_size=image_size,
        output=output,
    )
    path = Path(model)
    if isinstance(embedder, PixelEmbedder):
        raise InputError(f"{model}: pixels are compared and don't classify; give a trained model")
    if (path / MODEL_FILE).exists():
        if classes is not None or scores != "auto":
            raise InputError(
                f"{model}: the run folder knows its classes: leave out --classes and --score-type"
            )
        return _of_run(path, embedder, flip)
    if classes is None:
        folder = path.parent
        hint = (
            f"give its run folder, {folder}"
            if path.name == MODEL_FILE and (folder / HEAD_FILE).exists()
            else "give --classes FILE with a name on each line"
        )
        raise InputError(f"{model}: doesn't say what its classes are called: {hint}")
    names = read_class_names(classes)
    given = GivenScores(str(model), len(names), scores)
    return Classifier(embedder, given.probabilities, names, flip)


def _of_run(folder: Path, embedder: Embedder, flip: bool) -> Classifier:
    if not (folder / HEAD_FILE).exists():
        raise InputError(
            f"{folder}: has no {HEAD_FILE}, so it can embed but not classify: it was trained "
            "before runs kept one, or isn't finished; the command that trained it, with --resume, "
            "writes it"
        )
    head, num_identities, embedding_size = load_head(folder / HEAD_FILE)
    names = read_class_names(folder / IDENTITIES_FILE)
    if len(names) != num_identities:
        raise InputError(
            f"{folder}: {IDENTITIES_FILE} names {len(names)} classes, and {HEAD_FILE} tells "
            f"{num_identities} apart: they are not of one run"
        )

    def probabilities(embeddings: np.ndarray) -> np.ndarray:
        if embeddings.shape[1] != embedding_size:
            raise InputError(
                f"{folder}: {MODEL_FILE} gives embeddings of {embeddings.shape[1]}, and "
                f"{HEAD_FILE} takes {embedding_size}: they are not of one run"
            )
        return ops.convert_to_numpy(head.probabilities(embeddings))

    return Classifier(embedder, probabilities, names, flip)
