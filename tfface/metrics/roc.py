"""The ROC curve of similarities, and the figures that are read off it.

A pair is accepted as genuine when its similarity is >= the threshold. At a threshold,

    FAR (false accept rate) = accepted impostor pairs / impostor pairs
    TAR (true accept rate)  = accepted genuine pairs / genuine pairs

The curve is kept as whole counts at every distinct similarity, so ties are met as the rule meets
them: pairs of one similarity are accepted together.
"""

from dataclasses import dataclass

import numpy as np

from tfface.errors import InputError


@dataclass(frozen=True)
class Roc:
    """Accepted pairs at every threshold worth naming, from the strictest to the loosest.

    Attributes:
        threshold: float64 [n], falling: just above the highest similarity (accepts nothing), then
            every distinct similarity.
        false_accepts: int64 [n], impostor pairs with similarity >= threshold.
        true_accepts: int64 [n], genuine pairs with similarity >= threshold.
        num_impostor: impostor pairs.
        num_genuine: genuine pairs.
    """

    threshold: np.ndarray
    false_accepts: np.ndarray
    true_accepts: np.ndarray
    num_impostor: int
    num_genuine: int

    @property
    def far(self) -> np.ndarray:
        return self.false_accepts / self.num_impostor

    @property
    def tar(self) -> np.ndarray:
        return self.true_accepts / self.num_genuine


@dataclass(frozen=True)
class TarAtFar:
    """The share of genuine pairs accepted while at most `far` of the impostor pairs are.

    Attributes:
        far: the false accept rate asked for.
        tar: the true accept rate at `threshold_cosine`.
        measured_far: the false accept rate at `threshold_cosine`; never above `far`.
        threshold_cosine: the similarity from which a pair is accepted (>=).
        sufficient: whether there are impostor pairs enough for `far` to allow one false accept.
            Where not, `tar` is measured at FAR 0, which says little about `far`.
    """

    far: float
    tar: float
    measured_far: float
    threshold_cosine: float
    sufficient: bool


def roc(similarity: np.ndarray, is_genuine: np.ndarray) -> Roc:
    """Returns the ROC curve.

    Args:
        similarity: float [num_pairs], finite; higher is more alike.
        is_genuine: bool [num_pairs].

    Raises InputError: lengths differ, a similarity isn't finite, or one kind of pair is missing.
    """
    similarity = np.asarray(similarity, np.float64)
    is_genuine = np.asarray(is_genuine, bool)
    if similarity.shape != is_genuine.shape or similarity.ndim != 1:
        raise InputError(
            f"similarities of shape {similarity.shape} and labels of shape {is_genuine.shape}: "
            "expected one similarity and one label for each pair"
        )
    check_labels(is_genuine)
    if not np.isfinite(similarity).all():
        pair = int(np.flatnonzero(~np.isfinite(similarity))[0])
        raise InputError(f"the similarity of pair {pair} is {similarity[pair]}, not a number")
    genuine = np.sort(similarity[is_genuine])
    impostor = np.sort(similarity[~is_genuine])
    threshold = np.unique(similarity)[::-1]
    threshold = np.concatenate([[np.nextafter(threshold[0], np.inf)], threshold])
    return Roc(
        threshold=threshold,
        false_accepts=len(impostor) - np.searchsorted(impostor, threshold, side="left"),
        true_accepts=len(genuine) - np.searchsorted(genuine, threshold, side="left"),
        num_impostor=len(impostor),
        num_genuine=len(genuine),
    )


def check_labels(is_genuine: np.ndarray) -> None:
    """Raises InputError unless there are both genuine and impostor pairs."""
    num_genuine = int(np.count_nonzero(is_genuine))
    num_impostor = len(is_genuine) - num_genuine
    if not num_genuine or not num_impostor:
        raise InputError(
            f"{num_genuine} genuine and {num_impostor} impostor pairs: "
            "verification needs pairs of both kinds"
        )


def tar_at_far(curve: Roc, far: float) -> TarAtFar:
    """Returns the operating point with the highest TAR whose FAR is <= `far`.

    With I impostor pairs at most floor(far * I) of them may be accepted, so the threshold is the
    lowest similarity above the (floor(far * I) + 1)-th highest of the impostor pairs: an order
    statistic, nothing is interpolated.

    Args:
        far: in (0, 1].
    """
    if not 0 < far <= 1:
        raise InputError(f"a false accept rate of {far}: expected one in (0, 1]")
    # far * I may fall a hair below the whole number it stands for: 0.07 * 100 is 7.000000000000001,
    # 0.29 * 100 is 28.999999999999996. The division that users would make decides.
    allowed = int(far * curve.num_impostor) + 1
    while allowed / curve.num_impostor > far:
        allowed -= 1
    point = int(np.searchsorted(curve.false_accepts, allowed, side="right")) - 1
    return TarAtFar(
        far=float(far),
        tar=float(curve.tar[point]),
        measured_far=float(curve.far[point]),
        threshold_cosine=float(curve.threshold[point]),
        sufficient=allowed >= 1,
    )


def eer(curve: Roc) -> float:
    """Returns the equal error rate: where FAR equals the false reject rate 1 - TAR.

    Between two neighbouring points of the curve both rates are taken as straight lines.
    """
    # FAR - FRR in whole numbers (times both counts): it climbs strictly from nothing accepted,
    # where it is negative, to everything accepted, where it is positive.
    difference = curve.false_accepts * curve.num_genuine - curve.num_impostor * (
        curve.num_genuine - curve.true_accepts
    )
    after = int(np.searchsorted(difference, 0, side="left"))
    before = after - 1
    share = -difference[before] / (difference[after] - difference[before])
    return float(curve.far[before] + share * (curve.far[after] - curve.far[before]))


def auc(curve: Roc) -> float:
    """Returns the area under the curve, which is the Mann-Whitney statistic:

    P(similarity of a genuine pair > similarity of an impostor pair) + P(they are equal) / 2
    """
    doubled = np.sum(
        np.diff(curve.false_accepts) * (curve.true_accepts[1:] + curve.true_accepts[:-1])
    )
    return float(doubled / (2 * curve.num_impostor * curve.num_genuine))
