"""Accuracy of pairs by k-fold cross-validation, as LFW's View 2 and its kin report it."""

from dataclasses import dataclass

import numpy as np

from tfface.errors import InputError
from tfface.metrics.roc import check_scores

# The reference protocol tries these squared distances, whatever the embeddings are.
DISTANCE_THRESHOLDS = np.arange(0, 4, 0.01)


@dataclass(frozen=True)
class Accuracy:
    """Accuracy by k-fold cross-validation: each fold is judged by a threshold chosen on the others.

    Attributes:
        mean, std: over the folds; `std` is the population's (divided by the number of folds).
        folds: the accuracy of each fold, in order.
        interval: 95 % interval [low, high] of the share of right answers, with the folds'
            thresholds held fixed; None where it wasn't made.
    """

    mean: float
    std: float
    folds: list[float]
    interval: list[float] | None = None


def k_fold_accuracy(
    distance: np.ndarray, is_genuine: np.ndarray, num_folds: int = 10
) -> tuple[Accuracy, float]:
    """Returns the accuracy by the reference protocol, and the mean of the thresholds it chose.

    Pairs are cut into `num_folds` runs in order (as scikit-learn's KFold without shuffling). For
    each, the first of 0, 0.01, .. 3.99 with the most right answers on the *other* folds is taken,
    and a pair of the fold is called genuine when distance < threshold.

    Args:
        distance: float [num_pairs], squared L2 distance of normalised embeddings, in [0, 4].
        is_genuine: bool [num_pairs].

    Raises InputError: fewer than 2 folds, fewer pairs than folds, lengths that differ, a distance
        that isn't finite, or pairs of one kind only.
    Source: the protocol of LFW's View 2 as InsightFace's `verification.py` computes it.
    """
    distance, is_genuine = np.asarray(distance, np.float64), np.asarray(is_genuine, bool)
    thresholds = k_fold_thresholds(distance, is_genuine, num_folds)
    is_right = judge(distance, thresholds) == is_genuine
    return fold_accuracy(is_right, num_folds), float(np.mean(thresholds))


def k_fold_thresholds(
    distance: np.ndarray, is_genuine: np.ndarray, num_folds: int = 10
) -> np.ndarray:
    """Returns the threshold of each fold, as `k_fold_accuracy` says: float64 [num_folds]."""
    check_scores("distance", distance, is_genuine)
    if not 2 <= num_folds <= len(distance):
        raise InputError(
            f"{num_folds} folds of {len(distance)} pairs: expected at least 2 folds, "
            "and a pair for each"
        )
    # array_split gives the first folds one pair more when they can't be equal, as KFold does.
    num_right = np.stack(
        [
            _num_right(distances, labels)
            for distances, labels in zip(
                np.array_split(distance, num_folds),
                np.array_split(is_genuine, num_folds),
                strict=True,
            )
        ]
    )
    return DISTANCE_THRESHOLDS[np.argmax(num_right.sum(axis=0) - num_right, axis=1)]


def judge(distance: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Returns which pairs are called genuine, each fold by its threshold: bool [num_pairs]."""
    folds = np.array_split(distance, len(thresholds))
    return np.concatenate(
        [fold < threshold for fold, threshold in zip(folds, thresholds, strict=True)]
    )


def fold_accuracy(is_right: np.ndarray, num_folds: int) -> Accuracy:
    """Returns the accuracy of pairs that were judged fold by fold.

    Args:
        is_right: bool [num_pairs].
    """
    folds = [
        int(np.count_nonzero(fold)) / len(fold) for fold in np.array_split(is_right, num_folds)
    ]
    return Accuracy(mean=float(np.mean(folds)), std=float(np.std(folds)), folds=folds)


def _num_right(distance: np.ndarray, is_genuine: np.ndarray) -> np.ndarray:
    """Returns how many pairs each of `DISTANCE_THRESHOLDS` judges rightly: int [num_thresholds]."""
    genuine, impostor = np.sort(distance[is_genuine]), np.sort(distance[~is_genuine])
    accepted_genuine = np.searchsorted(genuine, DISTANCE_THRESHOLDS, side="left")
    accepted_impostor = np.searchsorted(impostor, DISTANCE_THRESHOLDS, side="left")
    return accepted_genuine + len(impostor) - accepted_impostor
