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

_POINTS = 1 << 18


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
        interval: 95 % interval [low, high] of `tar`; None where it wasn't made or isn't sufficient.
    """

    far: float
    tar: float
    measured_far: float
    threshold_cosine: float
    sufficient: bool
    interval: list[float] | None = None


def roc(similarity: np.ndarray, is_genuine: np.ndarray) -> Roc:
    """Returns the ROC curve.

    Takes some 40 bytes for each pair while it works, and 24 for each distinct similarity to keep.

    Args:
        similarity: float [num_pairs], finite; higher is more alike.
        is_genuine: bool [num_pairs].

    Raises InputError: lengths differ, a similarity isn't finite, or one kind of pair is missing.
    """
    given = np.asarray(similarity)
    similarity = given.astype(np.float64, copy=False)
    is_genuine = np.asarray(is_genuine, bool)
    check_scores("similarity", similarity, is_genuine)
    num_genuine = int(np.count_nonzero(is_genuine))
    num_impostor = len(is_genuine) - num_genuine
    # One sort of everything tells the thresholds and how many pairs of either kind reach each. How
    # many of the rarer kind do takes a search for those alone, and the rest are of the other kind.
    genuine_is_rarer = num_genuine <= num_impostor
    rarer = similarity[is_genuine if genuine_is_rarer else ~is_genuine]
    rising = np.sort(similarity)
    is_first = np.empty(len(rising), bool)
    is_first[0] = True
    np.not_equal(rising[1:], rising[:-1], out=is_first[1:])
    first = np.flatnonzero(is_first)
    if len(first) < len(rising):
        rising = rising[first]
    threshold, others, rarers = np.empty(len(rising) + 1), *np.zeros((2, len(rising) + 1), np.int64)
    np.subtract(len(similarity), first[::-1], out=others[1:])
    del is_first, first
    of_rarer = np.bincount(np.searchsorted(rising, rarer), minlength=len(rising))
    np.cumsum(of_rarer[::-1], out=rarers[1:])
    others -= rarers
    threshold[0] = just_above(given.max())
    threshold[1:] = rising[::-1]
    return Roc(
        threshold,
        false_accepts=others if genuine_is_rarer else rarers,
        true_accepts=rarers if genuine_is_rarer else others,
        num_impostor=num_impostor,
        num_genuine=num_genuine,
    )


def just_above(highest: np.number) -> np.number:
    """Returns the next number that the type of `highest` has.

    One of a finer type would be rounded back to `highest` where similarities are compared with it,
    and accept what it must not.
    """
    return np.nextafter(highest, np.inf)


def check_scores(name: str, scores: np.ndarray, is_genuine: np.ndarray) -> None:
    """Raises InputError unless pairs of both kinds have one finite score and one label each.

    Args:
        name: what the scores are.
    """
    if scores.shape != is_genuine.shape or scores.ndim != 1:
        raise InputError(
            f"scores ({name}) of shape {scores.shape} and labels of shape {is_genuine.shape}: "
            f"expected one {name} and one label for each pair"
        )
    check_labels(is_genuine)
    is_finite = np.isfinite(scores)
    if not is_finite.all():
        pair = int(np.argmin(is_finite))
        raise InputError(f"the {name} of pair {pair} is {scores[pair]}, not a number")


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
        tar=float(curve.true_accepts[point] / curve.num_genuine),
        measured_far=float(curve.false_accepts[point] / curve.num_impostor),
        threshold_cosine=float(curve.threshold[point]),
        sufficient=allowed >= 1,
    )


def eer(curve: Roc) -> float:
    """Returns the equal error rate: where FAR equals the false reject rate 1 - TAR.

    Between two neighbouring points of the curve both rates are taken as straight lines.
    """

    # FAR - FRR in whole numbers (times both counts): it climbs strictly from nothing accepted,
    # where it is negative, to everything accepted, where it is positive.
    def difference(point: int) -> int:
        missed = curve.num_genuine - int(curve.true_accepts[point])
        return int(curve.false_accepts[point]) * curve.num_genuine - curve.num_impostor * missed

    before, after = 0, len(curve.threshold) - 1
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if difference(middle) < 0 else (before, middle)
    share = -difference(before) / (difference(after) - difference(before))
    far_before, far_after = (
        int(curve.false_accepts[point]) / curve.num_impostor for point in (before, after)
    )
    return far_before + share * (far_after - far_before)


def auc(curve: Roc) -> float:
    """Returns the area under the curve, which is the Mann-Whitney statistic:

    P(similarity of a genuine pair > similarity of an impostor pair) + P(they are equal) / 2
    """
    doubled = 0
    # A part at a time, for the sake of memory; each begins with the point that the last ended with.
    for start in range(0, len(curve.threshold) - 1, _POINTS):
        part = slice(start, start + _POINTS + 1)
        false, true = curve.false_accepts[part], curve.true_accepts[part]
        doubled += int(np.sum(np.diff(false) * (true[1:] + true[:-1])))
    return doubled / (2 * curve.num_impostor * curve.num_genuine)
