"""Classifiers: one interface, `scores(images) -> probabilities`, for models of every kind."""

import csv
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from keras import ops

from tfface import arguments
from tfface.data.records.manifest import IDENTITIES_FILE
from tfface.errors import InputError, warn
from tfface.evaluation.embedders.embedder import Embedder, load_embedder
from tfface.evaluation.embedders.keras_model import MODEL_FILE
from tfface.evaluation.embedders.options import PixelInput
from tfface.evaluation.embedders.precision import Precision
from tfface.evaluation.embedders.raw_pixels import RawPixelEmbedder
from tfface.files import os_errors
from tfface.heads.head_file import HEAD_FILE, load_head
from tfface.heads.margin_softmax import MarginSoftmax
from tfface.images.decoding import resize
from tfface.names import cell_text
from tfface.paths import expanded
from tfface.text_file import check_columns, csv_lines, open_text

ScoreType = Literal["auto", "probabilities", "logits"]

# Quantized probabilities may miss the sum of 1 by this much.
_SUM_TOLERANCE = 0.05
# Of so many logits of a single score, hardly ever are all between 0 and 1.
_FEW_SINGLE_SCORES = 16


class Classifier:
    """Predicts the class of images.

    Args:
        embedder: its output, without flip, is the input of `to_probabilities`.
        to_probabilities: float32 [n, size] -> float [n, num_classes].
        classes: names of the classes; position = label.
        flip: average the probabilities of an image and of its mirror image.
        has_face_head: it was trained by a head with class centers, as for faces.

    Attributes:
        embedder: as given.
        name: for tables and messages.
        image_size: (height, width) of the input images.
        batch_size: the preferred number of images for each call; `scores` accepts any number.
        classes: as given.
        has_face_head: as given.

    Example:
        >>> embedder = load_embedder("pixels")
        >>> def always_ann(embeddings):
        ...     return np.tile(np.float32([0.9, 0.1]), (len(embeddings), 1))
        >>> classifier = Classifier(embedder, always_ann, ["ann", "bob"])
        >>> classifier.scores(np.zeros((1, 32, 32, 3), np.uint8)).round(1).tolist()
        [[0.8999999761581421, 0.10000000149011612]]
    """

    def __init__(
        self,
        embedder: Embedder,
        to_probabilities: Callable[[np.ndarray], np.ndarray],
        classes: Sequence[str],
        flip: bool = False,
        has_face_head: bool = False,
    ):
        self.name = embedder.name
        self.image_size = embedder.image_size
        self.batch_size = embedder.batch_size
        self.classes = list(classes)
        check_distinct_names(self.classes, f"{self.name}: two classes")
        self.embedder = embedder
        self.has_face_head = has_face_head
        self._to_probabilities = to_probabilities
        self._flip = flip

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Returns the probability of each class.

        Args:
            images: uint8 [n, height, width, 3], RGB; at least one. Those of another size are
                resized.

        Returns:
            float32 [n, num_classes]; rows sum to 1.

        Raises:
            InputError: the images are of another type or shape.
        """
        arguments.rgb_images(images)
        images = resize(images, *self.image_size, keep_aspect=self.embedder.keeps_aspect)
        scores = self._scores(images)
        if self._flip:
            scores = (scores + self._scores(images[:, :, ::-1])) / 2
        return scores

    def _scores(self, images: np.ndarray) -> np.ndarray:
        return self._to_probabilities(self.embedder.embed(images))


def load_classifier(
    model: str | os.PathLike[str],
    *,
    classes: str | os.PathLike[str] | None = None,
    scores: ScoreType = "auto",
    flip: bool = False,
    batch_size: int = arguments.EMBED_BATCH_SIZE,
    pixels: PixelInput | None = None,
    image_size: tuple[int, int] | None = None,
    output: str | None = None,
    precision: Precision = "float32",
) -> Classifier:
    """Loads a run folder or an external model as a classifier.

    Args:
        model: a run folder; or an external model in any format of `load_embedder` that returns a
            score for each class (of two classes, the second one's score is enough).
        classes: the file with the class names of an external model, see `read_class_names`.
        scores: the type of an external model's scores, see `ScoresToProbabilities`.
        flip: average the probabilities of an image and of its mirror image.
        batch_size: images for each forward pass.
        pixels, image_size, output, precision: as for `load_embedder`.

    Returns:
        The classifier.

    Raises:
        InputError: as `load_embedder`; or the run folder has no classifier, the class names are
            missing, or they are given for a run folder, which has its own.

    Example:
        >>> load_classifier("pixels")
        Traceback (most recent call last):
        tfface.errors.InputError: pixels: raw pixels can't classify; give a trained model
    """
    model = expanded(model)
    arguments.whole_number("batch_size", batch_size, 1, 8192)
    arguments.one_of("scores", scores, get_args(ScoreType))
    if image_size is not None:
        image_size = arguments.image_size(image_size)
    if output is not None:
        arguments.text("output", output)
    arguments.one_of("precision", precision, get_args(Precision))
    embedder = load_embedder(
        model,
        batch_size=batch_size,
        flip=False,
        pixels=pixels,
        image_size=image_size,
        output=output,
        precision=precision,
    )
    if isinstance(embedder, RawPixelEmbedder):
        raise InputError(f"{model}: raw pixels can't classify; give a trained model")
    if (model / MODEL_FILE).exists():
        if classes is not None or scores != "auto":
            raise InputError(
                f"{model}: the run folder contains its classes: omit --classes and --score-type"
            )
        return _load_run(model, embedder, flip)
    if classes is None:
        folder = model.parent
        hint = (
            f"give its run folder, {folder}"
            if model.name == MODEL_FILE and (folder / HEAD_FILE).exists()
            else "give --classes FILE with a name on each line. A model that returns embeddings "
            "has no classes: enroll people with 'tfface gallery build', and ask 'tfface identify'"
        )
        raise InputError(f"{model}: the file does not contain the class names: {hint}")
    names = read_class_names(expanded(classes))
    convert = ScoresToProbabilities(str(model), len(names), scores)
    return Classifier(embedder, convert.probabilities, names, flip)


def _load_run(folder: Path, embedder: Embedder, flip: bool) -> Classifier:
    if not (folder / HEAD_FILE).exists():
        raise InputError(
            f"{folder}: has no {HEAD_FILE}, so it can embed but not classify: the run is not "
            "finished, or an early version trained it (its training command with --resume writes "
            "the file), or it was trained without a head"
        )
    head, num_identities, embedding_size = load_head(folder / HEAD_FILE)
    names = read_class_names(folder / IDENTITIES_FILE)
    if len(names) != num_identities:
        raise InputError(
            f"{folder}: {IDENTITIES_FILE} has {len(names)} classes, but {HEAD_FILE} has "
            f"{num_identities}: the files are not of the same run"
        )

    def probabilities(embeddings: np.ndarray) -> np.ndarray:
        if embeddings.shape[1] != embedding_size:
            raise InputError(
                f"{folder}: {MODEL_FILE} returns embeddings of size {embeddings.shape[1]}, but "
                f"{HEAD_FILE} expects {embedding_size}: the files are not of the same run"
            )
        return ops.convert_to_numpy(head.probabilities(embeddings))

    return Classifier(embedder, probabilities, names, flip, isinstance(head, MarginSoftmax))


class ScoresToProbabilities:
    """Converts the scores of an external model to probabilities.

    Logits become probabilities by the softmax, or by the sigmoid of a single logit. With `auto`,
    the first batch decides: scores are probabilities if all are in [0, 1] and each row sums to 1.

    Args:
        model: the model's name for error messages.
        num_classes: >= 2.
        score_type: `probabilities`, `logits` or `auto`.

    Example:
        >>> ScoresToProbabilities("model", 2).probabilities(np.array([[0.25, 0.75]]))
        array([[0.25, 0.75]], dtype=float32)
        >>> ScoresToProbabilities("model", 2, "logits").probabilities(np.array([[0.0, 0.0]]))
        array([[0.5, 0.5]], dtype=float32)
    """

    def __init__(self, model: str, num_classes: int, score_type: ScoreType = "auto"):
        self._model = model
        self._num_classes = num_classes
        self._is_given = score_type != "auto"
        self._are_probabilities = score_type == "probabilities" if self._is_given else None

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Converts a batch of scores.

        Args:
            scores: float [n, num_classes], or [n, 1] for two classes.

        Returns:
            float32 [n, num_classes]; rows sum to 1, or are NaN where a score is.

        Raises:
            InputError: the number of scores is wrong, or they are not probabilities, although the
                first ones were or `probabilities` was given.
        """
        num_scores = scores.shape[1]
        is_single = num_scores == 1 and self._num_classes == 2
        if num_scores != self._num_classes and not is_single:
            raise InputError(
                f"{self._model}: the model returns {num_scores} scores for an image, but there are "
                f"{self._num_classes} class names"
            )
        finite = scores[np.isfinite(scores).all(axis=1)]
        if self._are_probabilities is None:
            self._are_probabilities = _are_probabilities(finite)
            if self._are_probabilities and is_single and len(finite) < _FEW_SINGLE_SCORES:
                warn(
                    f"{self._model}: returns a single score, which is from 0 to 1 and therefore "
                    "taken as a probability; if it is a logit, the answer is wrong: say which it "
                    "is with --score-type"
                )
        elif self._are_probabilities and not _are_probabilities(finite):
            reason = "--score-type says so" if self._is_given else "those of the first images are"
            raise InputError(
                f"{self._model}: the scores of some images are not probabilities (from 0 to 1, "
                f"with the sum 1), although {reason}: use --score-type logits"
            )
        scores = scores.astype(np.float64)
        if self._are_probabilities:
            weights = np.concatenate([1 - scores, scores], axis=1) if is_single else scores
        else:
            # The sigmoid is the softmax of 0 and the logit.
            logits = (
                np.concatenate([np.zeros_like(scores), scores], axis=1) if is_single else scores
            )
            weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _are_probabilities(scores: np.ndarray) -> bool:
    inside = np.all((scores >= 0) & (scores <= 1 + 1e-6))
    return bool(
        inside
        and (scores.shape[1] == 1 or np.all(np.abs(scores.sum(axis=1) - 1) <= _SUM_TOLERANCE))
    )


def read_class_names(path: Path, *, distinct: bool = True) -> list[str]:
    """Reads the names of classes; position = label.

    Args:
        path: a text file with one name on each line, or a CSV file with the columns `label` (0, 1,
            2, ... in order) and `name`, as the identities.csv of a run folder or dataset.
        distinct: False if two classes may have the same name, as identities of two sources may.

    Returns:
        The names.

    Raises:
        InputError: the file can't be read, names fewer than two classes, or names one twice.
    """
    with os_errors(path), open_text(path) as file:
        text = file.read()
    if path.suffix.lower() == ".csv":
        names = _read_csv(path, text)
    else:
        names = [line.strip() for line in text.splitlines()]
        while names and not names[-1]:
            names.pop()
    if "" in names:
        raise InputError(f"{path}: class {names.index('')} has no name")
    if len(names) < 2:
        raise InputError(f"{path}: names {len(names)} classes; at least two are required")
    if distinct:
        check_distinct_names(names, f"{path}: two classes")
    return names


def check_distinct_names(names: Sequence[str], what: str) -> None:
    """Checks that all names differ.

    Args:
        names: any names.
        what: the beginning of the message, such as "two classes".

    Raises:
        InputError: a name occurs twice.
    """
    known = set()
    for name in names:
        if name in known:
            raise InputError(f"{what} are called '{name}', so the name is ambiguous")
        known.add(name)


def _read_csv(path: Path, text: str) -> list[str]:
    try:
        delimiter, lines = csv_lines(io.StringIO(text, newline=""))
        reader = csv.DictReader(lines, delimiter=delimiter)
        check_columns(path, reader.fieldnames or [], ["label", "name"])
        rows = list(reader)
        labels = [int(row["label"]) for row in rows]
        names = [cell_text(row["name"] or "") for row in rows]
    except InputError:
        raise
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: needs the columns label (integers) and name, like the identities.csv of a "
            "run folder"
        ) from error
    if labels != list(range(len(rows))):
        raise InputError(f"{path}: the labels are not 0, 1, 2, ... in order")
    return names
