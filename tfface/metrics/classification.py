"""Classification: which of some classes is an image of? Accuracy, precision, recall, confusion."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from tfface.errors import InputError
from tfface.metrics.calibration import CalibrationBin, calibration, calibration_error, log_loss
from tfface.metrics.predictions import Answers

TOP = 5
# Two-sided 95 % of the normal distribution.
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Summary:
    """The figures of some images.

    Attributes:
        num_images: > 0.
        num_classes: how many classes the images are of.
        accuracy: share of the images whose most probable class is the right one.
        accuracy_interval: Wilson's 95 % interval of it, as if images were drawn independently. It
            is too narrow where many of them show few people.
        majority_share: share of the images that are of the most frequent class: what always saying
            that class would reach.
        top5: share of the images whose right class is among the five most probable ones; None where
            there are fewer than six, of which five are no feat.
        macro_precision, macro_recall, macro_f1: means over the classes that the images are of, each
            class counting alike; the mean recall is called balanced accuracy, too. A class that was
            never predicted has no precision, and is left out of that mean alone.
        ece: expected calibration error, see `tfface.metrics.calibration`.
        log_loss: mean negative logarithm of the right class's probability.
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

    def to_json(self) -> dict:
        """Returns the figures as `eval_classification --json` writes them."""
        return asdict(self)


@dataclass(frozen=True)
class ClassFigures:
    """The figures of each class.

    Attributes:
        support: int64 [num_classes], images of the class.
        num_predicted: int64 [num_classes], images that were taken for the class.
        precision: float64 [num_classes], share of `num_predicted` that are of the class; NaN
            where none was predicted.
        recall: float64 [num_classes], share of `support` that was found; NaN where there is none.
        f1: float64 [num_classes], 2 right / (support + num_predicted); NaN where both are 0.
    """

    support: np.ndarray
    num_predicted: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray


@dataclass(frozen=True)
class Confusion:
    """How many images of each class were taken for which: the matrix's entries above 0.

    Sorted by label, then by predicted class.

    Attributes:
        label, predicted, num_images: int64 [entries].
    """

    label: np.ndarray
    predicted: np.ndarray
    num_images: np.ndarray


@dataclass(frozen=True)
class ClassificationResult:
    """All figures of one classifier on some images.

    Attributes:
        classes: names; position = label.
        answers: what all is read off.
    """

    classes: list[str]
    answers: Answers = field(repr=False)
    summary: Summary
    per_class: ClassFigures = field(repr=False)
    confusion: Confusion = field(repr=False)
    calibration: list[CalibrationBin] = field(repr=False)

    def to_json(self) -> dict:
        """Returns the figures as `eval_classification --json` writes them."""
        of_class = self.per_class
        confusion: dict[str, dict[str, int]] = {}
        for label, predicted, num_images in zip(
            self.confusion.label, self.confusion.predicted, self.confusion.num_images, strict=True
        ):
            row = confusion.setdefault(self.classes[label], {})
            row[self.classes[predicted]] = int(num_images)
        return {
            **self.summary.to_json(),
            "per_class": {
                name: {
                    "precision": _or_none(of_class.precision[label]),
                    "recall": _or_none(of_class.recall[label]),
                    "f1": _or_none(of_class.f1[label]),
                    "support": int(of_class.support[label]),
                    "num_predicted": int(of_class.num_predicted[label]),
                }
                for label, name in enumerate(self.classes)
            },
            "confusion": confusion,
            "calibration": [asdict(one) for one in self.calibration],
        }


def classification(answers: Answers, classes: Sequence[str]) -> ClassificationResult:
    """Returns the figures of a classifier's answers.

    Args:
        answers: as `read_answers` gives them; at least one.
        classes: names of all classes that the classifier knows, at least two.
    Raises InputError: no answers, or an answer outside of the classes.
    """
    num_classes = len(classes)
    _check(answers, num_classes)
    return ClassificationResult(
        classes=list(classes),
        answers=answers,
        summary=summarise(answers, num_classes),
        per_class=class_figures(answers, num_classes),
        confusion=confusion(answers, num_classes),
        calibration=calibration(answers.confidence, answers.is_right),
    )


def summarise(answers: Answers, num_classes: int) -> Summary:
    """Returns the figures of some images alone.

    Args:
        answers: at least one.
        num_classes: how many the classifier knows.
    Raises InputError: no answers, or an answer outside of the classes.
    """
    _check(answers, num_classes)
    of_class = _of_classes_that_occur(answers)
    shown = of_class.support > 0
    predicted = shown & (of_class.num_predicted > 0)
    num_right = int(np.count_nonzero(answers.is_right))
    return Summary(
        num_images=len(answers),
        num_classes=int(np.count_nonzero(shown)),
        accuracy=num_right / len(answers),
        accuracy_interval=wilson_interval(num_right, len(answers)),
        majority_share=float(of_class.support.max() / len(answers)),
        top5=float(np.mean(answers.rank < TOP)) if num_classes > TOP else None,
        macro_precision=float(of_class.precision[predicted].mean()) if predicted.any() else None,
        macro_recall=float(of_class.recall[shown].mean()),
        macro_f1=float(of_class.f1[shown].mean()),
        ece=calibration_error(answers.confidence, answers.is_right),
        log_loss=log_loss(answers.probability),
    )


@dataclass(frozen=True)
class Score:
    """Accuracy, and what it is worth.

    Attributes:
        accuracy: share of the images that are right.
        balanced: the same of each class that occurs, and the mean of these.
        majority_share: as `Summary` has it.
    """

    accuracy: float
    balanced: float
    majority_share: float


def score(labels: np.ndarray, is_right: np.ndarray) -> Score:
    """Returns the score of answers of which only that is known.

    Args:
        labels: int [num_images], the right classes; at least one.
        is_right: bool [num_images].
    """
    of_class = np.bincount(labels)
    right = np.bincount(labels[is_right], minlength=len(of_class))
    return Score(
        accuracy=float(is_right.mean()),
        balanced=float(np.nanmean(_share(right, of_class))),
        majority_share=float(of_class.max() / len(labels)),
    )


def class_figures(answers: Answers, num_classes: int) -> ClassFigures:
    """Returns precision, recall and F1 of each class, NaN where one is not defined."""
    support = np.bincount(answers.label, minlength=num_classes)
    num_predicted = np.bincount(answers.predicted, minlength=num_classes)
    right = np.bincount(answers.label[answers.is_right], minlength=num_classes)
    return ClassFigures(
        support=support,
        num_predicted=num_predicted,
        precision=_share(right, num_predicted),
        recall=_share(right, support),
        f1=_share(2 * right, support + num_predicted),
    )


def _of_classes_that_occur(answers: Answers) -> ClassFigures:
    """As `class_figures`, but for the classes that occur: a small group is quick among many."""
    both = np.concatenate([answers.label, answers.predicted])
    found, places = np.unique(both, return_inverse=True)
    label, predicted = np.split(places, 2)
    return class_figures(replace(answers, label=label, predicted=predicted), len(found))


def confusion(answers: Answers, num_classes: int) -> Confusion:
    """Counts the images of each class that were taken for each."""
    # Sparse, since a full matrix of 85,742 classes would take 59 GB.
    cells, num_images = np.unique(
        answers.label * num_classes + answers.predicted, return_counts=True
    )
    return Confusion(cells // num_classes, cells % num_classes, num_images)


def wilson_interval(num_right: int, num_images: int) -> tuple[float, float]:
    """Returns the 95 % interval of a share, which holds for few images, and for 0 % and 100 %.

    Args:
        num_right: in [0, num_images].
        num_images: > 0.
    Source: Wilson, Journal of the American Statistical Association 22 (1927).
    """
    share, z2 = num_right / num_images, _Z95**2
    middle = share + z2 / (2 * num_images)
    half = _Z95 * np.sqrt(share * (1 - share) / num_images + z2 / (4 * num_images**2))
    low, high = (middle - half) / (1 + z2 / num_images), (middle + half) / (1 + z2 / num_images)
    # Rounding may miss the ends.
    return max(0.0, float(low)), min(1.0, float(high))


def _share(part: np.ndarray, of: np.ndarray) -> np.ndarray:
    return np.divide(part, of, out=np.full(len(of), np.nan), where=of > 0)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _check(answers: Answers, num_classes: int) -> None:
    if not len(answers):
        raise InputError("no images: there is nothing to take a share of")
    highest = max(answers.label.max(), answers.predicted.max())
    if highest >= num_classes:
        raise InputError(f"an answer is of class {highest}, and there are {num_classes} classes")
