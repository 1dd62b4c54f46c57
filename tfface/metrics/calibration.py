"""Is a classifier right as often as it says? Calibration of the answers' confidence."""

from dataclasses import dataclass

import numpy as np

NUM_BINS = 15
# The logarithm of a probability of 0 would be infinite, and one image would decide the mean.
LEAST_PROBABILITY = 1e-15


@dataclass(frozen=True)
class CalibrationBin:
    """The answers whose confidence is in (low, high].

    Attributes:
        low, high: in [0, 1].
        num_images: answers in it.
        confidence: their mean confidence; None where there are none.
        accuracy: the share of them that is right; None where there are none.
    """

    low: float
    high: float
    num_images: int
    confidence: float | None
    accuracy: float | None


def calibration(confidence: np.ndarray, is_right: np.ndarray) -> list[CalibrationBin]:
    """Returns 15 bins of equal width: what a reliability diagram shows.

    Args:
        confidence: float64 [num_images], the probability of the predicted class, in [0, 1].
        is_right: bool [num_images].
    Source: Guo et al., ICML 2017, arXiv:1706.04599.
    """
    inner = np.arange(1, NUM_BINS) / NUM_BINS
    place = np.searchsorted(inner, confidence, side="left")
    num_images = np.bincount(place, minlength=NUM_BINS)
    confident = np.bincount(place, weights=confidence, minlength=NUM_BINS)
    right = np.bincount(place, weights=is_right, minlength=NUM_BINS)
    return [
        CalibrationBin(
            low=number / NUM_BINS,
            high=(number + 1) / NUM_BINS,
            num_images=int(count),
            confidence=float(confident[number] / count) if count else None,
            accuracy=float(right[number] / count) if count else None,
        )
        for number, count in enumerate(num_images)
    ]


def calibration_error(confidence: np.ndarray, is_right: np.ndarray) -> float:
    """Returns the expected calibration error (ECE).

    That is the difference between accuracy and mean confidence of each bin of `calibration`,
    averaged with the bins' numbers of images as weights: 0 where all bins are as often right as
    they say.

    Args: as `calibration`; at least one image.
    """
    return sum(
        one.num_images / len(confidence) * abs(one.accuracy - one.confidence)
        for one in calibration(confidence, is_right)
        if one.accuracy is not None and one.confidence is not None
    )


def log_loss(probability: np.ndarray) -> float:
    """Returns the mean negative logarithm of the right classes' probabilities.

    Args:
        probability: float64 [num_images], at least one, in [0, 1]; below 1e-15 they count as that.
    """
    return float(-np.log(np.maximum(probability, LEAST_PROBABILITY)).mean())
