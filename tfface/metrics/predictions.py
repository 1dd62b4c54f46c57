"""The predictions of a classifier, in a few numbers per image, so that millions fit in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from tfface.errors import InputError

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
        _check(probabilities, labels, names)
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
        """Joins the predictions of at least one batch."""
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


def _check(probabilities: np.ndarray, labels: np.ndarray, names: Sequence[str] | None) -> None:
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
