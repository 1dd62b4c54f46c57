"""How far the confidence of a classifier is from how often it is right."""

from dataclasses import dataclass

import numpy as np

NUM_BINS = 15


@dataclass(frozen=True)
class CalibrationBin:
    """The predictions whose confidence is in (low, high].

    Attributes:
        low, high: in [0, 1].
        num_images: predictions in the bin.
        confidence: their mean confidence; None if the bin is empty.
        accuracy: the share of them that is correct; None if the bin is empty.

    Example:
        >>> bins = calibration(np.array([0.9, 0.9]), np.array([True, False]))
        >>> [(one.confidence, one.accuracy) for one in bins if one.num_images]
        [(0.9, 0.5)]
    """

    low: float
    high: float
    num_images: int
    confidence: float | None
    accuracy: float | None


def calibration(confidence: np.ndarray, is_correct: np.ndarray) -> list[CalibrationBin]:
    """Returns the 15 bins of equal width of a reliability diagram.

    Args:
        confidence: float64 [num_images], the probability of the predicted class, in [0, 1].
        is_correct: bool [num_images].

    Reference: Guo et al., ICML 2017, arXiv:1706.04599.
    """
    inner = np.arange(1, NUM_BINS) / NUM_BINS
    bins = np.searchsorted(inner, confidence, side="left")
    num_images = np.bincount(bins, minlength=NUM_BINS)
    confidences = np.bincount(bins, weights=confidence, minlength=NUM_BINS)
    correct = np.bincount(bins, weights=is_correct, minlength=NUM_BINS)
    return [
        CalibrationBin(
            low=number / NUM_BINS,
            high=(number + 1) / NUM_BINS,
            num_images=int(count),
            confidence=float(confidences[number] / count) if count else None,
            accuracy=float(correct[number] / count) if count else None,
        )
        for number, count in enumerate(num_images)
    ]


def expected_calibration_error(confidence: np.ndarray, is_correct: np.ndarray) -> float:
    """Returns the expected calibration error (ECE).

    ECE = sum over the bins of `calibration` of (images / all images) * |accuracy - confidence|

    Args:
        confidence, is_correct: as in `calibration`; at least one image.
    """
    return sum(
        one.num_images / len(confidence) * abs(one.accuracy - one.confidence)
        for one in calibration(confidence, is_correct)
        if one.accuracy is not None and one.confidence is not None
    )
