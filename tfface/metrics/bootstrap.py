"""How far a pair set's figures may be trusted: 95 % intervals by the bootstrap.

Each replicate weighs the pairs anew, as if the set's people (or, where nobody knows who they are,
its pairs) had been drawn once more from all that might have been, and has figures of its own. An
interval holds the middle 95 % of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfface.metrics.bootstrap_metrics import PairOrder, replicate_figures
from tfface.metrics.bootstrap_weights import draw_weights

NUM_REPLICATES = 1000
_TAIL = 0.025

# More take longer than 10 seconds, and their intervals are so narrow that what else is uncertain
# about a set matters more.
MOST_PAIRS = 2_000_000


@dataclass(frozen=True)
class Intervals:
    """95 % intervals [low, high] of a set's figures.

    Attributes:
        by: what was drawn again, "identity" or "pair". Where people are in several pairs, intervals
            by pair are too narrow.
        accuracy: of the share of right answers, with the folds' thresholds held fixed.
        tar_at_far: for each of the rates that were asked for.
    """

    by: str
    accuracy: list[float]
    eer: list[float]
    auc: list[float]
    tar_at_far: list[list[float]]


def bootstrap_intervals(
    similarity: np.ndarray,
    is_genuine: np.ndarray,
    is_right: np.ndarray,
    fars: Sequence[float],
    identities: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    num_replicates: int = NUM_REPLICATES,
    seed: int = 0,
) -> Intervals | None:
    """Returns the intervals of a pair set's figures; None for more than 2 million pairs.

    Time grows with the number of pairs, by about 5 seconds a million; memory doesn't, but for 2
    bytes for each identity and replicate, of which it takes at most 128 MiB.

    Args:
        similarity: float [num_pairs], finite.
        is_genuine: bool [num_pairs], some of each kind.
        is_right: bool [num_pairs], whether accuracy counts the pair as judged rightly.
        fars: false accept rates, each in (0, 1].
        identities: int [num_pairs] of the first images and of the second; None where unknown.
        num_replicates: > 0.
        seed: >= 0; the same seed gives the same intervals, on every machine.
    """
    if len(similarity) > MOST_PAIRS:
        return None
    order = PairOrder(similarity, is_genuine, is_right)
    blocks = draw_weights(order, identities, num_replicates, seed)
    replicates = np.concatenate(
        [replicate_figures(order, weights, fars) for weights in blocks], axis=1
    )
    # A replicate without pairs of both kinds has no figures.
    replicates = replicates[:, np.isfinite(replicates).all(axis=0)]
    if not replicates.size:
        return None
    accuracy, eer, auc, *tar = np.quantile(replicates, [_TAIL, 1 - _TAIL], axis=1).T.tolist()
    by = "pair" if identities is None else "identity"
    return Intervals(by=by, accuracy=accuracy, eer=eer, auc=auc, tar_at_far=tar)
