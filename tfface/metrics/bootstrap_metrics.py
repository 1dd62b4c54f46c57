"""The figures of all replicates of a bootstrap at once.

They are what `metrics.roc` would make of the set with each pair as often as its weight says. Arrays
are [rows, replicates], and what is done row by row takes all replicates in one stroke.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

# Pairs whose weights may be asked for at a time. Sums of products of so many weights (up to 5 of
# genuine, 25 of impostor pairs) don't pass 2^32.
MOST_ROWS = 8192
# Pairs whose running sums are held at a time: 8 MB for 1,000 replicates.
_PART_ROWS = 2048
_PRODUCT_ROWS = 64

# The weights of rows [start, stop) of an order, at most `MOST_ROWS` of them: those of the genuine
# pairs and those of the impostor pairs, uint8 [pairs, replicates] each.
Weights = Callable[[int, int], tuple[np.ndarray, np.ndarray]]


class PairOrder:
    """Pairs from the most similar on, cut into segments between which the ROC curve has corners.

    A segment is a run of pairs of one kind, or the pairs of one similarity where both kinds have
    it: those are accepted together. Inside a segment the curve is straight.

    Attributes:
        rows: int64 [num_pairs], the pairs in order.
        is_genuine, is_right: bool [num_pairs], in order.
        num_genuine: int64 [num_pairs + 1], genuine pairs before each row, and in all.
        starts: int64 [segments + 1], row where each begins, and the end.
        has_genuine, has_impostor: bool [segments].
    """

    def __init__(self, similarity: np.ndarray, is_genuine: np.ndarray, is_right: np.ndarray):
        # Pairs of one similarity by kind and answer, so that nothing depends on the set's order.
        rows = np.argsort(2 * is_genuine.astype(np.uint8) + is_right, kind="stable")
        self.rows = rows[np.argsort(-similarity[rows], kind="stable")]
        self.is_genuine, self.is_right = is_genuine[self.rows], is_right[self.rows]
        self.num_genuine = np.concatenate([[0], np.cumsum(self.is_genuine)])
        similarity = similarity[self.rows]
        ties = np.flatnonzero(np.diff(similarity, prepend=np.inf))
        ends = np.append(ties[1:], len(similarity))
        num_genuine = self.num_genuine[ends] - self.num_genuine[ties]
        kind = (num_genuine > 0) + 2 * (num_genuine < ends - ties)
        begins = (np.diff(kind, prepend=0) != 0) | (kind == 3)
        self.starts = np.append(ties[begins], len(similarity))
        self.has_genuine, self.has_impostor = kind[begins] & 1 > 0, kind[begins] & 2 > 0

    @property
    def num_pairs(self) -> int:
        return len(self.rows)

    def parts(self) -> Iterator[tuple[int, int]]:
        """Yields runs of segments that have few pairs together, or one that has many by itself."""
        low, num_segments = 0, len(self.starts) - 1
        while low < num_segments:
            end = self.starts[low] + _PART_ROWS
            high = max(low + 1, int(np.searchsorted(self.starts, end, side="right")) - 1)
            yield low, high
            low = high


def replicate_figures(order: PairOrder, weights: Weights, fars: Sequence[float]) -> np.ndarray:
    """Returns the figures of replicates: accuracy, EER, AUC, and the TAR at each rate.

    Args:
        fars: each in (0, 1].
    Returns: float64 [3 + len(fars), replicates]; NaN where one kind of pair has no weight.
    """
    num_genuine, num_impostor, num_wrong = _totals(order, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        allowed = np.stack([_most_accepts(far, num_impostor) for far in fars])
        true_accepts = np.broadcast_to(num_genuine, allowed.shape).copy()
        eer = np.full(len(num_genuine), np.nan)
        doubled_area, genuine_before, impostor_before = np.zeros((3, len(num_genuine)), np.int64)
        for low, high in order.parts():
            part = _Part(order, weights, low, high)
            doubled_area += part.doubled_area() + 2 * genuine_before * part.impostor[-1]
            part.find_true_accepts(allowed - impostor_before, genuine_before, true_accepts)
            part.find_eer(genuine_before, impostor_before, num_genuine, num_impostor, eer)
            genuine_before += part.genuine[-1]
            impostor_before += part.impostor[-1]
        figures = np.stack(
            [
                1 - num_wrong / (num_genuine + num_impostor),
                eer,
                doubled_area / (2 * num_genuine * num_impostor),
                *(true_accepts / num_genuine),
            ]
        )
    figures[:, (num_genuine == 0) | (num_impostor == 0)] = np.nan
    return figures


def _totals(order: PairOrder, weights: Weights) -> np.ndarray:
    """Returns the weight of genuine, of impostor and of wrongly judged pairs: int64 [3, r]."""
    totals: np.ndarray = np.zeros((), np.int64)
    for start in range(0, order.num_pairs, MOST_ROWS):
        stop = min(start + MOST_ROWS, order.num_pairs)
        genuine, impostor = weights(start, stop)
        is_genuine, is_wrong = order.is_genuine[start:stop], ~order.is_right[start:stop]
        wrong = _sum(genuine[is_wrong[is_genuine]]) + _sum(impostor[is_wrong[~is_genuine]])
        totals = totals + np.stack([_sum(genuine), _sum(impostor), wrong])
    return totals


def _sum(weights: np.ndarray) -> np.ndarray:
    return np.add.reduce(weights, axis=0, dtype=np.uint32)


def _most_accepts(far: float, num_impostor: np.ndarray) -> np.ndarray:
    """Returns how many false accepts `far` allows, as `tar_at_far` counts them: int64 [r]."""
    allowed = (far * num_impostor).astype(np.int64) + 1
    for _ in range(2):
        allowed -= allowed / num_impostor > far
    return allowed


class _Part:
    """Some segments of an order, and the weight that is accepted after each, for all replicates.

    A corner is a place between segments: corner i lies before segment i of the part.

    Attributes:
        genuine: uint32 [segments with genuine pairs + 1, replicates], their weight up to the end of
            each, counted from the part's start.
        impostor: the same of impostor pairs.
    """

    def __init__(self, order: PairOrder, weights: Weights, low: int, high: int):
        self._has_genuine = order.has_genuine[low:high]
        self._has_impostor = order.has_impostor[low:high]
        # Rows of `genuine` and `impostor` at each corner.
        self._genuine_row = np.concatenate([[0], np.cumsum(self._has_genuine)])
        self._impostor_row = np.concatenate([[0], np.cumsum(self._has_impostor)])
        starts = order.starts[low : high + 1]
        first, last = int(starts[0]), int(starts[-1])
        if last - first > _PART_ROWS:
            genuine, impostor = _sum_rows(weights, first, last)
            num_genuine, num_impostor = self._genuine_row, self._impostor_row
        else:
            genuine, impostor = weights(first, last)
            num_genuine = order.num_genuine[starts] - order.num_genuine[first]
            num_impostor = starts - first - num_genuine
        self.genuine = _running_sums(genuine, num_genuine)
        self.impostor = _running_sums(impostor, num_impostor)

    def doubled_area(self) -> np.ndarray:
        """Returns twice the area under the part of the curve, left of its start: int64 [r]."""
        # The height before each segment that has impostors.
        rows = self._genuine_row[:-1][self._has_impostor]
        area = np.zeros(self.impostor.shape[1], np.int64)
        for start in range(0, len(rows), _PRODUCT_ROWS):
            stop = start + _PRODUCT_ROWS
            width = np.diff(self.impostor[start : stop + 1], axis=0)
            height = self.genuine.take(rows[start:stop], axis=0)
            area += np.einsum("ij,ij->j", width, height)
        area *= 2
        both = self._has_genuine & self._has_impostor
        if both.any():
            i, g = (rows[:-1][both] for rows in (self._impostor_row, self._genuine_row))
            width = (self.impostor[i + 1] - self.impostor[i]).astype(np.int64)
            area += np.sum(width * (self.genuine[g + 1] - self.genuine[g]), axis=0)
        return area

    def find_true_accepts(
        self, allowed: np.ndarray, genuine_before: np.ndarray, true_accepts: np.ndarray
    ) -> None:
        """Fills in the genuine weight at the last corner with at most `allowed` impostor weight.

        Args:
            allowed: int64 [fars, replicates], beyond what lies before the part; those that aren't
                passed in this part are left out.
            genuine_before: int64 [replicates].
            true_accepts: int64 [fars, replicates], is changed.
        """
        fars, replicates = np.nonzero((allowed >= 0) & (allowed < self.impostor[-1]))
        wanted = allowed[fars, replicates]
        passed = len(self.impostor) - 1
        row = _last_true(lambda row: self.impostor[row, replicates] <= wanted, len(wanted), passed)
        corner = np.flatnonzero(self._has_impostor)[row]
        true_accepts[fars, replicates] = (
            genuine_before[replicates] + self.genuine[self._genuine_row[corner], replicates]
        )

    def find_eer(
        self,
        genuine_before: np.ndarray,
        impostor_before: np.ndarray,
        num_genuine: np.ndarray,
        num_impostor: np.ndarray,
        eer: np.ndarray,
    ) -> None:
        """Fills in the rate where the curve meets FAR = 1 - TAR, if it does so in this part.

        Args:
            genuine_before, impostor_before: int64 [replicates], weight before the part.
            num_genuine, num_impostor: int64 [replicates], weight of all.
            eer: float64 [replicates], is changed.
        """

        def false_accepts(corner: np.ndarray | int, of: np.ndarray) -> np.ndarray:
            return impostor_before[of] + self.impostor[self._impostor_row[corner], of]

        def difference(corner: np.ndarray | int, of: np.ndarray) -> np.ndarray:
            """FAR - FRR times both totals, which never falls."""
            missed = (
                num_genuine[of] - genuine_before[of] - self.genuine[self._genuine_row[corner], of]
            )
            return false_accepts(corner, of) * num_genuine[of] - num_impostor[of] * missed

        of, end = np.arange(len(eer)), len(self._has_genuine)
        of = np.flatnonzero((difference(0, of) < 0) & (difference(end, of) >= 0))
        before = _last_true(lambda corner: difference(corner, of) < 0, len(of), end)
        low, high = difference(before, of), difference(before + 1, of)
        far, next_far = (false_accepts(c, of) / num_impostor[of] for c in (before, before + 1))
        eer[of] = far + -low / (high - low) * (next_far - far)


def _sum_rows(weights: Weights, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the weight of genuine and of impostor pairs of any number of rows: uint32 [1, r]."""
    sums: np.ndarray = np.zeros((), np.uint32)
    for piece in range(start, stop, MOST_ROWS):
        of_piece = weights(piece, min(piece + MOST_ROWS, stop))
        sums = sums + np.stack([_sum(of_kind) for of_kind in of_piece])
    return sums[:1], sums[1:]


def _running_sums(weights: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Sums weights up to each bound: uint32 [different bounds, replicates], from 0 on.

    Args:
        weights: uint8 or uint32 [pairs, replicates].
        bounds: int [bounds], rising from 0 to `pairs`; equal ones count once.
    """
    bounds = np.unique(bounds).tolist()
    sums = np.zeros((len(bounds), weights.shape[1]), np.uint32)
    # Row by row this is several times as fast as `np.add.accumulate` or `reduceat`.
    for row in range(1, len(bounds)):
        start, stop = bounds[row - 1], bounds[row]
        if stop - start == 1:
            np.add(sums[row - 1], weights[start], out=sums[row])
        else:
            np.add.reduce(weights[start:stop], axis=0, dtype=np.uint32, out=sums[row])
            sums[row] += sums[row - 1]
    return sums


def _last_true(holds: Callable[[np.ndarray], np.ndarray], count: int, end: int) -> np.ndarray:
    """Finds the last of the numbers 0 to `end` for which something holds: int64 [count].

    Args:
        holds: int64 [count] -> bool [count]. It holds at 0 and not at `end`, and what once doesn't
            hold never does again.
    """
    low, high = np.zeros(count, np.int64), np.full(count, end)
    while np.any(high - low > 1):
        middle = (low + high) // 2
        here = holds(middle)
        low, high = np.where(here, middle, low), np.where(here, high, middle)
    return low
