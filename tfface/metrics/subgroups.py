"""Figures of groups of a pair set: of the pairs of one pose, one age, one group of people."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfface.errors import InputError
from tfface.metrics.roc import auc, eer, roc


@dataclass(frozen=True)
class GroupFigures:
    """Figures of the pairs of one group, judged as all pairs of the set are.

    A model is used with one threshold, whoever stands before the camera. So no group is given a
    threshold that suits it best: where FAR or TAR differ between groups, that is what its people
    will meet with. EER and AUC don't depend on a threshold; where they are alike and FAR is not,
    the group's similarities are as far apart as others', but elsewhere.

    Attributes:
        accuracy: share of right answers by the thresholds of the set's folds.
        far, tar: at the set's threshold; None where there's no impostor, or no genuine pair.
        eer, auc: None where the pairs are of one kind.
    """

    num_pairs: int
    num_genuine: int
    accuracy: float
    far: float | None
    tar: float | None
    eer: float | None
    auc: float | None


def group_figures(
    similarity: np.ndarray,
    is_genuine: np.ndarray,
    is_right: np.ndarray,
    threshold: float,
    groups: Sequence[str],
) -> dict[str, GroupFigures]:
    """Returns the figures of each group, in the order of their names.

    Args:
        similarity: float [num_pairs].
        is_genuine: bool [num_pairs].
        is_right: bool [num_pairs], whether the pair's fold judges it rightly.
        threshold: the set's; a pair is accepted when similarity >= threshold.
        groups: the name of each pair's group.
    Raises InputError: not as many groups as pairs.
    """
    if len(groups) != len(similarity):
        raise InputError(f"{len(groups)} groups were given for {len(similarity)} pairs")
    numbers = {name: number for number, name in enumerate(sorted(set(groups)))}
    of_pair = np.fromiter((numbers[name] for name in groups), np.int64, len(groups))
    order = np.argsort(of_pair, kind="stable")
    bounds = np.searchsorted(of_pair[order], np.arange(len(numbers) + 1))
    accepted = similarity >= threshold
    figures = {}
    for name, start, stop in zip(numbers, bounds[:-1], bounds[1:], strict=True):
        pairs = order[start:stop]
        genuine = is_genuine[pairs]
        num_genuine = int(np.count_nonzero(genuine))
        has_both = 0 < num_genuine < len(pairs)
        curve = roc(similarity[pairs], genuine) if has_both else None
        figures[name] = GroupFigures(
            num_pairs=len(pairs),
            num_genuine=num_genuine,
            accuracy=float(np.mean(is_right[pairs])),
            far=_share(accepted[pairs][~genuine]),
            tar=_share(accepted[pairs][genuine]),
            eer=eer(curve) if curve else None,
            auc=auc(curve) if curve else None,
        )
    return figures


def _share(accepted: np.ndarray) -> float | None:
    return float(np.mean(accepted)) if len(accepted) else None
