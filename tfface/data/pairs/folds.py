"""The order in which pairs are cut into folds."""

import numpy as np


def in_turn(is_genuine: np.ndarray) -> np.ndarray:
    """Returns an order in which genuine and impostor pairs are spread evenly: int64 [num_pairs].

    Each kind keeps its own order. As many of both come in turn, a genuine one first.
    """
    is_genuine = np.asarray(is_genuine, bool)
    rank, num_others = np.empty((2, len(is_genuine)), np.int64)
    for kind in (is_genuine, ~is_genuine):
        rank[kind] = np.arange(np.count_nonzero(kind))
        num_others[kind] = np.count_nonzero(~kind)
    # The middle of the r-th of n equal parts is (2 r + 1) / 2 n; compared without fractions.
    return np.lexsort([~is_genuine, (2 * rank + 1) * np.maximum(num_others, 1)])


def hold_both_kinds(is_genuine: np.ndarray, num_folds: int) -> bool:
    """Whether each fold has genuine and impostor pairs when the pairs are cut as they stand."""
    return all(0 < np.count_nonzero(fold) < len(fold) for fold in cut(is_genuine, num_folds))


def cut(pairs: np.ndarray, num_folds: int) -> list[np.ndarray]:
    """Cuts what belongs to pairs into folds, in order; the first may have one pair more."""
    return np.array_split(pairs, num_folds)


def fold_numbers(num_pairs: int, num_folds: int) -> np.ndarray:
    """Returns the fold of each pair when pairs are cut as they stand: int64 [num_pairs], from 0."""
    sizes = [len(fold) for fold in cut(np.arange(num_pairs), num_folds)]
    return np.repeat(np.arange(num_folds), sizes)


def order_by_fold(numbers: np.ndarray) -> np.ndarray | None:
    """Returns an order that puts pairs into their folds when it is cut; None where there's none.

    Folds come by their numbers, but those with one pair more first, as `cut` wants them. Folds
    whose sizes differ by more than one can't be cut so.

    Args:
        numbers: int [num_pairs], the fold of each pair; any numbers.
    """
    _, folds, sizes = np.unique(numbers, return_inverse=True, return_counts=True)
    if sizes.max() - sizes.min() > 1:
        return None
    return np.lexsort([folds, -sizes[folds]])
