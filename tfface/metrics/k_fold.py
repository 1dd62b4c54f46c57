"""Verification accuracy by k-fold cross-validation, as in LFW's View 2."""

from dataclasses import dataclass

import numpy as np

from tfface.errors import InputError
from tfface.metrics.roc import check_scores

NUM_FOLDS = 10

# The squared distances that the reference protocol tries, for any embeddings.
DISTANCE_THRESHOLDS = np.arange(0, 4, 0.01)


@dataclass(frozen=True)
class Accuracy:
    """Accuracy by k-fold cross-validation: the threshold of a fold is chosen on the other folds.

    Attributes:
        mean, std: over the folds; `std` is that of the population (divided by the number of folds).
        folds: the accuracy of each fold, in order.
        interval: 95 % interval [low, high] of the share of correct predictions, with the folds'
            thresholds held fixed; None if it was not computed.

    Example:
        >>> fold_accuracy(np.array([True, True, False, True]), num_folds=2)
        Accuracy(mean=0.75, std=0.25, folds=[1.0, 0.5], interval=None)
    """

    mean: float
    std: float
    folds: list[float]
    interval: list[float] | None = None


def split_folds(pairs: np.ndarray, num_folds: int) -> list[np.ndarray]:
    """Splits an array over pairs into folds, in order, as scikit-learn's KFold without shuffling.

    If the folds can't be equal, the first ones have one pair more.

    Args:
        pairs: [num_pairs, ...].
        num_folds: >= 1.
    """
    return np.array_split(pairs, num_folds)


def k_fold_accuracy(
    distance: np.ndarray, is_genuine: np.ndarray, num_folds: int = NUM_FOLDS
) -> tuple[Accuracy, float]:
    """Computes accuracy by the reference protocol.

    Pairs are split into `num_folds` consecutive folds (as by scikit-learn's KFold without
    shuffling). For each fold, the first of 0, 0.01, .. 3.99 with the highest accuracy on the
    *other* folds is the threshold, and a pair is predicted as genuine if distance < threshold.

    Args:
        distance: float [num_pairs], squared L2 distance of normalized embeddings, in [0, 4].
        is_genuine: bool [num_pairs].
        num_folds: >= 2.

    Returns:
        The accuracy, and the mean of the folds' thresholds.

    Raises:
        InputError: fewer than 2 folds, fewer pairs than folds, shapes that do not match, a distance
            that is NaN or infinite, or pairs of one kind only.

    Example:
        >>> is_genuine = np.arange(100) % 2 == 0
        >>> accuracy, threshold = k_fold_accuracy(np.where(is_genuine, 0.5, 1.5), is_genuine)
        >>> accuracy.mean, round(threshold, 2)
        (1.0, 0.51)

    Reference: the protocol of LFW's View 2 as in InsightFace's `verification.py`.
    """
    distance, is_genuine = np.asarray(distance, np.float64), np.asarray(is_genuine, bool)
    thresholds = k_fold_thresholds(distance, is_genuine, num_folds)
    is_correct = predict_folds(distance, thresholds) == is_genuine
    return fold_accuracy(is_correct, num_folds), float(np.mean(thresholds))


def k_fold_thresholds(
    distance: np.ndarray, is_genuine: np.ndarray, num_folds: int = NUM_FOLDS
) -> np.ndarray:
    """Returns the threshold of each fold, as in `k_fold_accuracy`: float64 [num_folds].

    Args:
        distance: float [num_pairs], squared L2 distance of normalized embeddings.
        is_genuine: bool [num_pairs].
        num_folds: >= 2.
    """
    check_scores("distance", distance, is_genuine)
    if not 2 <= num_folds <= len(distance):
        raise InputError(
            f"{num_folds} folds of {len(distance)} pairs: expected at least 2 folds, "
            "and at least one pair in each"
        )
    num_correct = np.stack(
        [
            _num_correct(distances, labels)
            for distances, labels in zip(
                split_folds(distance, num_folds),
                split_folds(is_genuine, num_folds),
                strict=True,
            )
        ]
    )
    return DISTANCE_THRESHOLDS[np.argmax(num_correct.sum(axis=0) - num_correct, axis=1)]


def predict_folds(distance: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Predicts which pairs are genuine, each fold by its threshold: bool [num_pairs].

    Args:
        distance: float [num_pairs], squared L2 distance.
        thresholds: float [num_folds].
    """
    folds = split_folds(distance, len(thresholds))
    return np.concatenate(
        [fold < threshold for fold, threshold in zip(folds, thresholds, strict=True)]
    )


def fold_accuracy(is_correct: np.ndarray, num_folds: int) -> Accuracy:
    """Computes the accuracy of predictions that were made fold by fold.

    Args:
        is_correct: bool [num_pairs].
    """
    folds = [int(np.count_nonzero(fold)) / len(fold) for fold in split_folds(is_correct, num_folds)]
    return Accuracy(mean=float(np.mean(folds)), std=float(np.std(folds)), folds=folds)


def _num_correct(distance: np.ndarray, is_genuine: np.ndarray) -> np.ndarray:
    """Counts correct predictions at each of `DISTANCE_THRESHOLDS`: int [num_thresholds]."""
    genuine, impostor = np.sort(distance[is_genuine]), np.sort(distance[~is_genuine])
    accepted_genuine = np.searchsorted(genuine, DISTANCE_THRESHOLDS, side="left")
    accepted_impostor = np.searchsorted(impostor, DISTANCE_THRESHOLDS, side="left")
    return accepted_genuine + len(impostor) - accepted_impostor
