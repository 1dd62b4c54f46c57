"""The ROC curve of similarities, with AUC, EER and TAR@FAR.

A pair is accepted as genuine if its similarity is >= the threshold. At a threshold,

    FAR (false accept rate) = accepted impostor pairs / impostor pairs
    TAR (true accept rate)  = accepted genuine pairs / genuine pairs

The curve is stored as integer counts at every distinct similarity, so pairs with equal similarity
are accepted together.
"""

from dataclasses import dataclass

import numpy as np

from tfface.errors import InputError

_POINTS = 1 << 18


@dataclass(frozen=True)
class Roc:
    """Accepted pairs at every distinct threshold, from the strictest to the loosest.

    Attributes:
        threshold: float64 [n], descending: just above the highest similarity (accepts nothing),
            then every distinct similarity.
        false_accepts: int64 [n], impostor pairs with similarity >= threshold.
        true_accepts: int64 [n], genuine pairs with similarity >= threshold.
        num_impostor: impostor pairs.
        num_genuine: genuine pairs.

    Example:
        >>> curve = roc(np.array([0.9, 0.7, 0.8, 0.1]), np.array([True, True, False, False]))
        >>> curve.far.tolist(), curve.tar.tolist()
        ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
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
    """The operating point at the lowest threshold with at most the requested FAR.

    Attributes:
        far: the requested false accept rate.
        tar: the true accept rate at `threshold_cosine`.
        measured_far: the false accept rate at `threshold_cosine`; never above `far`.
        threshold_cosine: a pair is accepted if its similarity is >= this.
        sufficient: whether there are enough impostor pairs for `far` to allow a single false
            accept. If not, `tar` is measured at FAR 0 and says little about `far`.
        interval: 95 % interval [low, high] of `tar`; None if not computed or not sufficient.

    Example:
        >>> curve = roc(np.array([0.9, 0.7, 0.8, 0.1]), np.array([True, True, False, False]))
        >>> point = tar_at_far(curve, 0.5)
        >>> point.tar, point.threshold_cosine, point.sufficient
        (1.0, 0.7, True)
    """

    far: float
    tar: float
    measured_far: float
    threshold_cosine: float
    sufficient: bool
    interval: list[float] | None = None


def roc(similarity: np.ndarray, is_genuine: np.ndarray) -> Roc:
    """Computes the ROC curve.

    Needs about 40 bytes per pair while computing, and keeps 24 bytes per distinct similarity.

    Args:
        similarity: float [num_pairs], finite; higher means more similar.
        is_genuine: bool [num_pairs].

    Raises:
        InputError: shapes do not match, a similarity is NaN or infinite, or all pairs are of one
            kind.

    Example:
        >>> curve = roc(np.array([0.9, 0.7, 0.8, 0.1]), np.array([True, True, False, False]))
        >>> auc(curve), eer(curve), tar_at_far(curve, 0.5).tar
        (0.75, 0.5, 1.0)
    """
    given = np.asarray(similarity)
    similarity = given.astype(np.float64, copy=False)
    is_genuine = np.asarray(is_genuine, bool)
    check_scores("similarity", similarity, is_genuine)
    num_genuine = int(np.count_nonzero(is_genuine))
    num_impostor = len(is_genuine) - num_genuine
    # One sort gives the thresholds and how many pairs are accepted at each. Only pairs of the rarer
    # kind are then searched for among them; the rest is of the other kind.
    genuine_is_rarer = num_genuine <= num_impostor
    rarer = similarity[is_genuine if genuine_is_rarer else ~is_genuine]
    ascending = np.sort(similarity)
    is_first = np.empty(len(ascending), bool)
    is_first[0] = True
    np.not_equal(ascending[1:], ascending[:-1], out=is_first[1:])
    first = np.flatnonzero(is_first)
    if len(first) < len(ascending):
        ascending = ascending[first]
    threshold = np.empty(len(ascending) + 1)
    others, rarers = np.zeros((2, len(ascending) + 1), np.int64)
    np.subtract(len(similarity), first[::-1], out=others[1:])
    del is_first, first
    of_rarer = np.bincount(np.searchsorted(ascending, rarer), minlength=len(ascending))
    np.cumsum(of_rarer[::-1], out=rarers[1:])
    others -= rarers
    threshold[0] = just_above(given.max())
    threshold[1:] = ascending[::-1]
    return Roc(
        threshold,
        false_accepts=others if genuine_is_rarer else rarers,
        true_accepts=rarers if genuine_is_rarer else others,
        num_impostor=num_impostor,
        num_genuine=num_genuine,
    )


def just_above(highest: np.number) -> np.number:
    """Returns the next larger number of the type of `highest`.

    A number of a wider type would be rounded back to `highest` in a comparison with similarities,
    and accept pairs that it must not.
    """
    return np.nextafter(highest, np.inf)


def check_scores(name: str, scores: np.ndarray, is_genuine: np.ndarray) -> None:
    """Raises InputError unless pairs of both kinds have one finite score and one label each.

    Args:
        name: of the scores, for error messages.
    """
    if scores.shape != is_genuine.shape or scores.ndim != 1:
        raise InputError(
            f"scores ({name}) have shape {scores.shape} and labels have shape {is_genuine.shape}: "
            f"expected one {name} and one label per pair"
        )
    check_labels(is_genuine)
    is_finite = np.isfinite(scores)
    if not is_finite.all():
        pair = int(np.argmin(is_finite))
        raise InputError(f"the {name} of pair {pair} is {scores[pair]}: expected a finite number")


def check_labels(is_genuine: np.ndarray) -> None:
    """Raises InputError unless there are both genuine and impostor pairs.

    Args:
        is_genuine: bool [num_pairs].
    """
    num_genuine = int(np.count_nonzero(is_genuine))
    num_impostor = len(is_genuine) - num_genuine
    if not num_genuine or not num_impostor:
        raise InputError(
            f"{num_genuine} genuine and {num_impostor} impostor pairs: "
            "verification needs both kinds"
        )


def max_false_accepts(far: float, num_impostor: int) -> int:
    """Returns the most of some impostors that may be accepted at a rate: floor(far * num_impostor).

    Args:
        far: the rate, in (0, 1].
        num_impostor: > 0.

    Example:
        >>> int(0.29 * 100), max_false_accepts(0.29, 100)
        (28, 29)
    """
    # Rounding of far * I can miss an integer: 0.07 * 100 is 7.000000000000001, 0.29 * 100 is
    # 28.999999999999996. The division, which defines the FAR, decides.
    allowed = int(far * num_impostor) + 1
    while allowed / num_impostor > far:
        allowed -= 1
    return allowed


def tar_at_far(curve: Roc, far: float) -> TarAtFar:
    """Returns the operating point with the highest TAR whose FAR is <= `far`.

    Of I impostor pairs at most floor(far * I) may be accepted, so the threshold is the lowest
    similarity above the (floor(far * I) + 1)-th highest of the impostor pairs: an order statistic,
    without interpolation.

    Args:
        far: in (0, 1].

    Raises:
        InputError: `far` is out of range.
    """
    if not 0 < far <= 1:
        raise InputError(f"the false accept rate is {far}: expected a number in (0, 1]")
    allowed = max_false_accepts(far, curve.num_impostor)
    point = int(np.searchsorted(curve.false_accepts, allowed, side="right")) - 1
    return TarAtFar(
        far=float(far),
        tar=float(curve.true_accepts[point] / curve.num_genuine),
        measured_far=float(curve.false_accepts[point] / curve.num_impostor),
        threshold_cosine=float(curve.threshold[point]),
        sufficient=allowed >= 1,
    )


def eer(curve: Roc) -> float:
    """Returns the equal error rate (EER): where FAR equals the false reject rate FRR = 1 - TAR.

    Both rates are interpolated linearly between neighboring points of the curve.

    Args:
        curve: as `roc` returns it.
    """

    # FAR - FRR times both counts, as an integer: it increases strictly from a negative number
    # (nothing accepted) to a positive one (everything accepted).
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

    Args:
        curve: as `roc` returns it.
    """
    doubled = 0
    # Part by part, to limit memory; each part begins with the last point of the one before.
    for start in range(0, len(curve.threshold) - 1, _POINTS):
        part = slice(start, start + _POINTS + 1)
        false, true = curve.false_accepts[part], curve.true_accepts[part]
        doubled += int(np.sum(np.diff(false) * (true[1:] + true[:-1])))
    return doubled / (2 * curve.num_impostor * curve.num_genuine)
