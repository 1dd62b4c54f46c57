"""Verification metrics of subgroups of pairs: one pose, one age, one group of identities."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfface.errors import InputError
from tfface.metrics.roc import auc, eer, roc


@dataclass(frozen=True)
class SubgroupMetrics:
    """Metrics of the pairs of one subgroup, at the thresholds of the whole set.

    A deployed model has a single threshold, so a subgroup gets none of its own: differences of FAR
    or TAR between subgroups show what their identities would experience. EER and AUC do not depend
    on a threshold; if they are equal and FAR is not, the similarities of the subgroup are as well
    separated, but shifted.

    Attributes:
        accuracy: share of correct predictions at the thresholds of the set's folds.
        far, tar: at the set's threshold; None without impostor or genuine pairs, respectively.
        eer, auc: None if all pairs are of one kind.
    """

    num_pairs: int
    num_genuine: int
    accuracy: float
    far: float | None
    tar: float | None
    eer: float | None
    auc: float | None


def subgroup_metrics(
    similarity: np.ndarray,
    is_genuine: np.ndarray,
    is_correct: np.ndarray,
    threshold: float,
    groups: Sequence[str],
) -> dict[str, SubgroupMetrics]:
    """Computes the metrics of each subgroup, sorted by name.

    Args:
        similarity: float [num_pairs].
        is_genuine: bool [num_pairs].
        is_correct: bool [num_pairs], whether the prediction at the threshold of the pair's fold is
            correct.
        threshold: of the set; a pair is accepted if similarity >= threshold.
        groups: the subgroup of each pair.

    Raises:
        InputError: the number of groups is not the number of pairs.

    Example:
        >>> similarity, is_genuine = np.array([0.9, 0.1, 0.8, 0.3]), np.array([1, 0, 1, 0], bool)
        >>> metrics = subgroup_metrics(similarity, is_genuine, is_genuine, 0.5, list("aabb"))
        >>> metrics["a"].tar, metrics["a"].far
        (1.0, 0.0)
    """
    if len(groups) != len(similarity):
        raise InputError(f"{len(groups)} groups were given for {len(similarity)} pairs")
    numbers = {name: number for number, name in enumerate(sorted(set(groups)))}
    of_pair = np.fromiter((numbers[name] for name in groups), np.int64, len(groups))
    order = np.argsort(of_pair, kind="stable")
    bounds = np.searchsorted(of_pair[order], np.arange(len(numbers) + 1))
    accepted = similarity >= threshold
    metrics = {}
    for name, start, stop in zip(numbers, bounds[:-1], bounds[1:], strict=True):
        pairs = order[start:stop]
        genuine = is_genuine[pairs]
        num_genuine = int(np.count_nonzero(genuine))
        has_both = 0 < num_genuine < len(pairs)
        curve = roc(similarity[pairs], genuine) if has_both else None
        metrics[name] = SubgroupMetrics(
            num_pairs=len(pairs),
            num_genuine=num_genuine,
            accuracy=float(np.mean(is_correct[pairs])),
            far=_share(accepted[pairs][~genuine]),
            tar=_share(accepted[pairs][genuine]),
            eer=eer(curve) if curve else None,
            auc=auc(curve) if curve else None,
        )
    return metrics


def _share(accepted: np.ndarray) -> float | None:
    return float(np.mean(accepted)) if len(accepted) else None
