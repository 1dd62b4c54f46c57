"""What a classifier answered, kept so small that millions of images and classes fit in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from tfface.errors import InputError

# Sums of many float32 numbers miss 1 by less.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Answers:
    """A classifier's answers to some images, one row each.

    Attributes:
        label: int64 [num_images], the class that is right.
        predicted: int64 [num_images], the class with the highest probability; of equals, the first.
        confidence: float64 [num_images], the probability of `predicted`.
        rank: int64 [num_images], classes that come before the right one when sorted by falling
            probability, of equals the lower class first; 0 where the answer is right.
        probability: float64 [num_images], that of the right class.
    """

    label: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    rank: np.ndarray
    probability: np.ndarray

    @property
    def is_right(self) -> np.ndarray:
        """bool [num_images]."""
        return self.rank == 0

    def __len__(self) -> int:
        return len(self.label)

    def of(self, rows: np.ndarray) -> "Answers":
        """Returns the answers of some images: bool [num_images], or their rows."""
        return Answers(*(getattr(self, one.name)[rows] for one in fields(self)))


def read_answers(
    probabilities: np.ndarray, labels: np.ndarray, names: Sequence[str] | None = None
) -> Answers:
    """Reads the answers off the probabilities of all classes.

    Args:
        probabilities: float [num_images, num_classes], at least two classes; rows that sum to 1.
        labels: int [num_images], each in [0, num_classes).
        names: what to call the images in an error message; by default "image 7".
    Raises InputError: NaN or infinity, a row that is no probabilities, labels out of range, or
        arrays that don't fit together.
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    _check(probabilities, labels, names)
    labels = labels.astype(np.int64)
    rows = np.arange(len(labels))
    predicted = probabilities.argmax(axis=1)
    of_label = probabilities[rows, labels]
    before = probabilities > of_label[:, None]
    equal_before = (probabilities == of_label[:, None]) & (
        np.arange(probabilities.shape[1]) < labels[:, None]
    )
    return Answers(
        label=labels,
        predicted=predicted,
        confidence=probabilities[rows, predicted].astype(np.float64),
        rank=np.count_nonzero(before | equal_before, axis=1),
        probability=of_label.astype(np.float64),
    )


def join_answers(parts: Sequence[Answers]) -> Answers:
    """Returns the answers of several batches, at least one, as those of one."""
    return Answers(
        *(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Answers))
    )


def _check(probabilities: np.ndarray, labels: np.ndarray, names: Sequence[str] | None) -> None:
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise InputError(
            f"probabilities of shape {probabilities.shape}: expected [num_images, num_classes] of "
            "two classes or more"
        )
    num_images, num_classes = probabilities.shape
    if labels.shape != (num_images,):
        raise InputError(
            f"probabilities of {num_images} images, but labels of shape {labels.shape}: expected "
            "one for each image"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"labels of type {labels.dtype}: expected whole numbers")
    sums = probabilities.sum(axis=1, dtype=np.float64)
    for wrong, what in (
        ((labels < 0) | (labels >= num_classes), f"is of no class from 0 to {num_classes - 1}"),
        (~np.isfinite(sums), "has NaN or infinite probabilities"),
        (
            (probabilities < 0).any(axis=1) | (np.abs(sums - 1) > _SUM_TOLERANCE),
            "has probabilities below 0, or that don't sum to 1",
        ),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            name = names[row] if names is not None else f"image {row}"
            raise InputError(f"{name} {what} ({np.count_nonzero(wrong)} of {num_images} images)")
