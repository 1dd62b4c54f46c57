"""Classification: predictions, and accuracy, precision, recall, F1, confusion and calibration."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace

import numpy as np

from tfface.errors import InputError
from tfface.metrics.calibration import (
    CalibrationBin,
    calibration,
    expected_calibration_error,
)

# Rounding errors of a sum of many float32 numbers are smaller.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Predictions:
    """The predictions of a classifier for some images, one row per image.

    Attributes:
        label: int64 [num_images], the true class.
        predicted: int64 [num_images], the class with the highest probability; the first if several
            classes have it.
        confidence: float64 [num_images], the probability of `predicted`.
        rank: int64 [num_images], the number of classes before the true one, in descending order of
            probability (ties: the lower class first); 0 if the prediction is correct.
        probability: float64 [num_images], the probability of the true class.

    Example:
        >>> predictions = Predictions.from_probabilities([[0.7, 0.3], [0.6, 0.4]], [0, 1])
        >>> predictions.is_correct.tolist(), predictions.probability.tolist()
        ([True, False], [0.7, 0.4])
    """

    label: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    rank: np.ndarray
    probability: np.ndarray

    @classmethod
    def from_probabilities(
        cls, probabilities: np.ndarray, labels: np.ndarray, names: Sequence[str] | None = None
    ) -> "Predictions":
        """Computes predictions from the probabilities of all classes.

        Args:
            probabilities: float [num_images, num_classes] with at least two classes; rows sum to 1.
            labels: int [num_images], each in [0, num_classes).
            names: names of the images for error messages; by default "image 7".

        Raises:
            InputError: NaN or infinity, a row that is not a distribution, a label out of range, or
                shapes that do not match.
        """
        probabilities, labels = np.asarray(probabilities), np.asarray(labels)
        _check_probabilities(probabilities, labels, names)
        labels = labels.astype(np.int64)
        rows = np.arange(len(labels))
        predicted = probabilities.argmax(axis=1)
        of_label = probabilities[rows, labels]
        before = probabilities > of_label[:, None]
        equal_before = (probabilities == of_label[:, None]) & (
            np.arange(probabilities.shape[1]) < labels[:, None]
        )
        return cls(
            label=labels,
            predicted=predicted,
            confidence=probabilities[rows, predicted].astype(np.float64),
            rank=np.count_nonzero(before | equal_before, axis=1),
            probability=of_label.astype(np.float64),
        )

    @classmethod
    def concatenate(cls, batches: Sequence["Predictions"]) -> "Predictions":
        """Joins the predictions of at least one batch.

        Args:
            batches: one or more.
        """
        return cls(
            *(
                np.concatenate([getattr(one, field.name) for one in batches])
                for field in fields(cls)
            )
        )

    @property
    def is_correct(self) -> np.ndarray:
        """bool [num_images]."""
        return self.rank == 0

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: np.ndarray) -> "Predictions":
        """Returns the predictions of some images.

        Args:
            rows: bool [num_images], or indices.
        """
        return Predictions(*(getattr(self, field.name)[rows] for field in fields(self)))


def _check_probabilities(
    probabilities: np.ndarray, labels: np.ndarray, names: Sequence[str] | None
) -> None:
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise InputError(
            f"probabilities have shape {probabilities.shape}: expected [num_images, num_classes] "
            "with at least two classes"
        )
    num_images, num_classes = probabilities.shape
    if labels.shape != (num_images,):
        raise InputError(
            f"probabilities of {num_images} images, but labels of shape {labels.shape}: expected "
            "one label per image"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"labels have type {labels.dtype}: expected integers")
    sums = probabilities.sum(axis=1, dtype=np.float64)
    for wrong, what in (
        ((labels < 0) | (labels >= num_classes), f"has a label outside 0..{num_classes - 1}"),
        (~np.isfinite(sums), "has NaN or infinite probabilities"),
        (
            (probabilities < 0).any(axis=1) | (np.abs(sums - 1) > _SUM_TOLERANCE),
            "has negative probabilities, or probabilities that do not sum to 1",
        ),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            name = names[row] if names is not None else f"image {row}"
            raise InputError(f"{name} {what} ({np.count_nonzero(wrong)} of {num_images} images)")


TOP = 5
# The logarithm of a probability of 0 is infinite: a single image would determine the mean.
MIN_PROBABILITY = 1e-15
# Two-sided 95 % of the normal distribution.
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class SummaryMetrics:
    """Metrics over a set of images.

    Attributes:
        num_images: > 0.
        num_classes: the number of classes that occur among the true labels.
        accuracy: share of the images whose most probable class is the true one.
        accuracy_interval: Wilson's 95 % interval of the accuracy. It assumes that images are
            independent, and is too narrow if many of them show few people.
        majority_share: share of the most frequent class: the accuracy of always predicting it.
        top5: share of the images whose true class is among the five most probable ones; None for
            fewer than six classes.
        macro_precision, macro_recall, macro_f1: unweighted means over the classes that occur; the
            mean recall is also called balanced accuracy. A class that is never predicted has no
            precision, and is excluded from that mean only.
        ece: expected calibration error, see `expected_calibration_error`.
        log_loss: mean negative logarithm of the probability of the true class.

    Example:
        >>> predictions = Predictions.from_probabilities([[0.7, 0.3], [0.6, 0.4]], [0, 1])
        >>> summary = summary_metrics(predictions, num_classes=2)
        >>> summary.accuracy, summary.macro_recall, summary.to_dict()["num_images"]
        (0.5, 0.5, 2)
    """

    num_images: int
    num_classes: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    majority_share: float
    top5: float | None
    macro_precision: float | None
    macro_recall: float
    macro_f1: float
    ece: float
    log_loss: float

    def to_dict(self) -> dict:
        """Returns the metrics in the format of `tfface evaluate classification --json`."""
        return asdict(self)


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of each class; undefined ones are NaN.

    Attributes:
        support: int64 [num_classes], images of the class.
        num_predicted: int64 [num_classes], images predicted as the class.
        precision: float64 [num_classes], share of `num_predicted` that is correct.
        recall: float64 [num_classes], share of `support` that is predicted as the class.
        f1: float64 [num_classes], 2 correct / (support + num_predicted).

    Example:
        >>> predictions = Predictions.from_probabilities([[0.7, 0.3], [0.6, 0.4]], [0, 1])
        >>> metrics = class_metrics(predictions, num_classes=2)
        >>> metrics.precision.tolist(), metrics.recall.tolist()
        ([0.5, nan], [1.0, 0.0])
    """

    support: np.ndarray
    num_predicted: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray


@dataclass(frozen=True)
class Confusion:
    """The nonzero entries of the confusion matrix, sorted by label, then by predicted class.

    Attributes:
        label, predicted, num_images: int64 [entries].

    Example:
        >>> predictions = Predictions.from_probabilities([[0.7, 0.3], [0.6, 0.4]], [0, 1])
        >>> found = confusion(predictions, num_classes=2)
        >>> found.label.tolist(), found.predicted.tolist(), found.num_images.tolist()
        ([0, 1], [0, 0], [1, 1])
    """

    label: np.ndarray
    predicted: np.ndarray
    num_images: np.ndarray


@dataclass(frozen=True)
class ClassificationResult:
    """All metrics of a classifier on a set of images.

    Attributes:
        classes: names; the index is the label.
        predictions: what the metrics are computed from.

    Example:
        >>> predictions = Predictions.from_probabilities([[0.7, 0.3], [0.6, 0.4]], [0, 1])
        >>> result = classification(predictions, ["cat", "dog"])
        >>> result.to_dict()["per_class"]["dog"]["recall"]
        0.0
    """

    classes: list[str]
    predictions: Predictions = field(repr=False)
    summary: SummaryMetrics
    per_class: ClassMetrics = field(repr=False)
    confusion: Confusion = field(repr=False)
    calibration: list[CalibrationBin] = field(repr=False)

    def to_dict(self) -> dict:
        """Returns the metrics in the format of `tfface evaluate classification --json`."""
        of_class = self.per_class
        confusion: dict[str, dict[str, int]] = {}
        for label, predicted, num_images in zip(
            self.confusion.label, self.confusion.predicted, self.confusion.num_images, strict=True
        ):
            row = confusion.setdefault(self.classes[label], {})
            row[self.classes[predicted]] = int(num_images)
        return {
            **self.summary.to_dict(),
            "per_class": {
                name: {
                    "precision": _none_if_nan(of_class.precision[label]),
                    "recall": _none_if_nan(of_class.recall[label]),
                    "f1": _none_if_nan(of_class.f1[label]),
                    "support": int(of_class.support[label]),
                    "num_predicted": int(of_class.num_predicted[label]),
                }
                for label, name in enumerate(self.classes)
            },
            "confusion": confusion,
            "calibration": [asdict(one) for one in self.calibration],
        }


def classification(predictions: Predictions, classes: Sequence[str]) -> ClassificationResult:
    """Computes all metrics of a classifier.

    Args:
        predictions: at least one.
        classes: names of all classes of the classifier, at least two.

    Returns:
        The metrics over all images and of each class, the confusion matrix and the calibration.

    Raises:
        InputError: there are no predictions, or one is outside the classes.

    Example:
        >>> predictions = Predictions.from_probabilities([[0.7, 0.3], [0.6, 0.4]], [0, 1])
        >>> result = classification(predictions, ["cat", "dog"])
        >>> result.summary.accuracy, result.to_dict()["confusion"]
        (0.5, {'cat': {'cat': 1}, 'dog': {'cat': 1}})
    """
    num_classes = len(classes)
    _check(predictions, num_classes)
    return ClassificationResult(
        classes=list(classes),
        predictions=predictions,
        summary=summary_metrics(predictions, num_classes),
        per_class=class_metrics(predictions, num_classes),
        confusion=confusion(predictions, num_classes),
        calibration=calibration(predictions.confidence, predictions.is_correct),
    )


def summary_metrics(predictions: Predictions, num_classes: int) -> SummaryMetrics:
    """Computes the metrics over a set of images.

    Args:
        predictions: at least one.
        num_classes: classes of the classifier.

    Raises:
        InputError: there are no predictions, or one is outside the classes.
    """
    _check(predictions, num_classes)
    of_class = _metrics_of_occurring_classes(predictions)
    occurs = of_class.support > 0
    predicted = occurs & (of_class.num_predicted > 0)
    num_correct = int(np.count_nonzero(predictions.is_correct))
    return SummaryMetrics(
        num_images=len(predictions),
        num_classes=int(np.count_nonzero(occurs)),
        accuracy=num_correct / len(predictions),
        accuracy_interval=wilson_interval(num_correct, len(predictions)),
        majority_share=float(of_class.support.max() / len(predictions)),
        top5=float(np.mean(predictions.rank < TOP)) if num_classes > TOP else None,
        macro_precision=float(of_class.precision[predicted].mean()) if predicted.any() else None,
        macro_recall=float(of_class.recall[occurs].mean()),
        macro_f1=float(of_class.f1[occurs].mean()),
        ece=expected_calibration_error(predictions.confidence, predictions.is_correct),
        log_loss=log_loss(predictions.probability),
    )


@dataclass(frozen=True)
class Score:
    """Accuracy, with two numbers to judge it by.

    Attributes:
        accuracy: share of the images that is correct.
        balanced: mean over the classes that occur of the accuracy on each.
        majority_share: as in `SummaryMetrics`.

    Example:
        >>> score(np.array([0, 0, 0, 1]), np.array([True, True, True, False]))
        Score(accuracy=0.75, balanced=0.5, majority_share=0.75)
    """

    accuracy: float
    balanced: float
    majority_share: float


def score(labels: np.ndarray, is_correct: np.ndarray) -> Score:
    """Computes the score of predictions without probabilities.

    Args:
        labels: int [num_images], the true classes; at least one.
        is_correct: bool [num_images].
    """
    of_class = np.bincount(labels)
    correct = np.bincount(labels[is_correct], minlength=len(of_class))
    return Score(
        accuracy=float(is_correct.mean()),
        balanced=float(np.nanmean(_share(correct, of_class))),
        majority_share=float(of_class.max() / len(labels)),
    )


def class_metrics(predictions: Predictions, num_classes: int) -> ClassMetrics:
    """Computes precision, recall and F1 of each class.

    Args:
        predictions: of any number of images.
        num_classes: classes of the classifier.
    """
    support = np.bincount(predictions.label, minlength=num_classes)
    num_predicted = np.bincount(predictions.predicted, minlength=num_classes)
    correct = np.bincount(predictions.label[predictions.is_correct], minlength=num_classes)
    return ClassMetrics(
        support=support,
        num_predicted=num_predicted,
        precision=_share(correct, num_predicted),
        recall=_share(correct, support),
        f1=_share(2 * correct, support + num_predicted),
    )


def _metrics_of_occurring_classes(predictions: Predictions) -> ClassMetrics:
    """As `class_metrics`, for the classes that occur: fast for a small group of many classes."""
    both = np.concatenate([predictions.label, predictions.predicted])
    found, indices = np.unique(both, return_inverse=True)
    label, predicted = np.split(indices, 2)
    return class_metrics(replace(predictions, label=label, predicted=predicted), len(found))


def confusion(predictions: Predictions, num_classes: int) -> Confusion:
    """Counts the images of each class that are predicted as each class.

    Args:
        predictions: of any number of images.
        num_classes: classes of the classifier.
    """
    # Sparse: a full matrix of 85,742 classes would take 59 GB.
    cells, num_images = np.unique(
        predictions.label * num_classes + predictions.predicted, return_counts=True
    )
    return Confusion(cells // num_classes, cells % num_classes, num_images)


def log_loss(probability: np.ndarray) -> float:
    """Returns the mean negative logarithm of the probabilities of the true classes.

    Args:
        probability: float64 [num_images], at least one, in [0, 1]; clipped to at least 1e-15.
    """
    return float(-np.log(np.maximum(probability, MIN_PROBABILITY)).mean())


def wilson_interval(num_correct: int, num_images: int) -> tuple[float, float]:
    """Returns the 95 % interval of a share; also valid for few images, and for 0 % and 100 %.

    Args:
        num_correct: in [0, num_images].
        num_images: > 0.

    Reference: Wilson, Journal of the American Statistical Association 22 (1927).
    """
    share, z2 = num_correct / num_images, _Z95**2
    middle = share + z2 / (2 * num_images)
    half = _Z95 * np.sqrt(share * (1 - share) / num_images + z2 / (4 * num_images**2))
    low, high = (middle - half) / (1 + z2 / num_images), (middle + half) / (1 + z2 / num_images)
    # Rounding can leave [0, 1].
    return max(0.0, float(low)), min(1.0, float(high))


def _share(part: np.ndarray, of: np.ndarray) -> np.ndarray:
    return np.divide(part, of, out=np.full(len(of), np.nan), where=of > 0)


def _none_if_nan(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _check(predictions: Predictions, num_classes: int) -> None:
    if not len(predictions):
        raise InputError("no images: classification metrics need at least one")
    highest = max(predictions.label.max(), predictions.predicted.max())
    if highest >= num_classes:
        raise InputError(f"a prediction is of class {highest}, but there are {num_classes} classes")
