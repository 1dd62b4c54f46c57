"""One door to every model that can classify: `scores(images) -> probabilities`."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from keras import ops

from tfface.data.records.manifest import IDENTITIES_FILE
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import Embedder, load_embedder
from tfface.evaluation.embedders.keras_model import MODEL_FILE
from tfface.evaluation.embedders.options import PixelInput
from tfface.evaluation.embedders.raw_pixels import RawPixelEmbedder
from tfface.heads.head_file import HEAD_FILE, load_head
from tfface.names import cell_text
from tfface.text_file import check_columns, open_text


def read_class_names(path: Path, *, distinct: bool = True) -> list[str]:
    """Reads the names of classes; position = label.

    Args:
        path: a text file with a name on each line, or a CSV file with the columns `label` (0, 1, 2,
            ... in order) and `name`, as the identities.csv of a run folder and of a dataset is.
        distinct: False where two may have one name, as identities of two sources may.

    Raises:
        InputError: the file can't be read, or names fewer than two classes, or one twice.
    """
    try:
        with open_text(path) as file:
            text = file.read()
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    if path.suffix.lower() == ".csv":
        names = _read_csv(path, text)
    else:
        names = [line.strip() for line in text.splitlines()]
        while names and not names[-1]:
            names.pop()
    if "" in names:
        raise InputError(f"{path}: class {names.index('')} has no name")
    if len(names) < 2:
        raise InputError(f"{path}: names {len(names)} classes, and there must be two at least")
    if distinct:
        check_distinct(names, f"{path}: two classes")
    return names


def check_distinct(names: Sequence[str], what: str) -> None:
    """Raises InputError where a name is there twice; the message begins with `what`."""
    known = set()
    for name in names:
        if name in known:
            raise InputError(f"{what} are called '{name}', so it is not known which is meant")
        known.add(name)


def _read_csv(path: Path, text: str) -> list[str]:
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""))
        check_columns(path, reader.fieldnames or [], ["label", "name"])
        rows = list(reader)
        labels = [int(row["label"]) for row in rows]
        names = [cell_text(row["name"] or "") for row in rows]
    except InputError:
        raise
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: needs the columns label (whole numbers) and name, as the identities.csv of "
            "a run folder has them"
        ) from error
    if labels != list(range(len(rows))):
        raise InputError(f"{path}: the labels are not 0, 1, 2, ... in order")
    return names


ScoreType = Literal["auto", "probabilities", "logits"]

# Sums of quantized probabilities miss 1 by so much.
_SUM_TOLERANCE = 0.05


class ScoresToProbabilities:
    """Makes probabilities of scores, one for each class, or a single one for the second of two.

    Of logits it takes the softmax, or the sigmoid of a single one. Whether the scores are logits is
    told by the first batch, unless it is said: probabilities are from 0 to 1, and a row of them
    sums to 1.

    Args:
        model: what to call the model in an error.
        num_classes: how many classes it is said to have, at least two.
        kind: `probabilities`, `logits`, or `auto` for as said above.
    """

    def __init__(self, model: str, num_classes: int, kind: ScoreType = "auto"):
        self._model = model
        self._num_classes = num_classes
        self._told = kind != "auto"
        self._are_probabilities = kind == "probabilities" if self._told else None

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Returns float32 [n, num_classes], rows that sum to 1; NaN where the scores hold NaN.

        Args:
            scores: float [n, num_classes], or [n, 1] where there are two classes.

        Raises:
            InputError: another number of scores; or they are no probabilities, though the first
                ones were, or were said to be.
        """
        num_scores = scores.shape[1]
        single = num_scores == 1 and self._num_classes == 2
        if num_scores != self._num_classes and not single:
            raise InputError(
                f"{self._model}: the model gives {num_scores} scores for an image, but "
                f"{self._num_classes} classes are named"
            )
        known = scores[np.isfinite(scores).all(axis=1)]
        if self._are_probabilities is None:
            self._are_probabilities = _look_like_probabilities(known)
        elif self._are_probabilities and not _look_like_probabilities(known):
            told = "they were said to be" if self._told else "those of the first images are"
            raise InputError(
                f"{self._model}: the scores of some images are no probabilities (from 0 to 1, with "
                f"the sum 1), though {told}: use --score-type logits"
            )
        scores = scores.astype(np.float64)
        if not self._are_probabilities:
            # The sigmoid is the softmax of the score and 0.
            given = np.concatenate([np.zeros_like(scores), scores], axis=1) if single else scores
            exponents = np.exp(given - given.max(axis=1, keepdims=True))
        else:
            exponents = np.concatenate([1 - scores, scores], axis=1) if single else scores
        return (exponents / exponents.sum(axis=1, keepdims=True)).astype(np.float32)


def _look_like_probabilities(scores: np.ndarray) -> bool:
    inside = np.all((scores >= 0) & (scores <= 1 + 1e-6))
    return bool(
        inside
        and (scores.shape[1] == 1 or np.all(np.abs(scores.sum(axis=1) - 1) <= _SUM_TOLERANCE))
    )


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
    scores: ScoreType = "auto",
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
        scores: what such a model gives, as `ScoresToProbabilities` has it.
        flip: take the mean of the probabilities of an image and of its mirrored copy.
        batch_size: images classified in one pass.
        pixels, image_size, output: as `load_embedder` has them.

    Raises:
        InputError: as `load_embedder`; the run folder can't classify; the classes aren't named, or
            are though the run folder names them.
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
    if isinstance(embedder, RawPixelEmbedder):
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
    given = ScoresToProbabilities(str(model), len(names), scores)
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
