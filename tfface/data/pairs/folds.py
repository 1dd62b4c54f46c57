"""Which order of pairs makes which folds: `metrics/k_fold.py` splits pairs in order."""

import numpy as np

from tfface.metrics.k_fold import split_folds


def interleave_by_label(is_genuine: np.ndarray) -> np.ndarray:
    """Returns an order that interleaves genuine and impostor pairs evenly: int64 [num_pairs].

    Each kind keeps its own order. If there are as many of both, they alternate, a genuine one
    first.

    Args:
        is_genuine: bool [num_pairs].

    Returns:
        Indices of pairs.
    """
    is_genuine = np.asarray(is_genuine, bool)
    rank, num_others = np.empty((2, len(is_genuine)), np.int64)
    for kind in (is_genuine, ~is_genuine):
        rank[kind] = np.arange(np.count_nonzero(kind))
        num_others[kind] = np.count_nonzero(~kind)
    # The middle of the r-th of n equal parts is (2 r + 1) / 2 n; compared without fractions.
    return np.lexsort([~is_genuine, (2 * rank + 1) * np.maximum(num_others, 1)])


def folds_have_both_labels(is_genuine: np.ndarray, num_folds: int) -> bool:
    """Whether each fold has genuine and impostor pairs if the pairs are split in order.

    Args:
        is_genuine: bool [num_pairs], in order.
        num_folds: >= 1.
    """
    return all(
        0 < np.count_nonzero(fold) < len(fold) for fold in split_folds(is_genuine, num_folds)
    )


def fold_indices(num_pairs: int, num_folds: int) -> np.ndarray:
    """Returns the fold of each pair if pairs are split in order: int64 [num_pairs], from 0.

    Args:
        num_pairs: >= 0.
        num_folds: >= 1.
    """
    sizes = [len(fold) for fold in split_folds(np.arange(num_pairs), num_folds)]
    return np.repeat(np.arange(num_folds), sizes)


def order_by_fold(numbers: np.ndarray) -> np.ndarray | None:
    """Returns an order of pairs that `split_folds` splits into given folds.

    Folds are sorted by number, but those with one pair more come first.

    Args:
        numbers: int [num_pairs], the fold of each pair; any numbers.

    Returns:
        Indices of pairs; None if the sizes of folds differ by more than one.
    """
    _, folds, sizes = np.unique(numbers, return_inverse=True, return_counts=True)
    if sizes.max() - sizes.min() > 1:
        return None
    return np.lexsort([folds, -sizes[folds]])
