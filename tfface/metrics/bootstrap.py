"""Confidence intervals of verification metrics by the bootstrap.

Each replicate gives every pair a random weight, as if the identities (or, if these are unknown,
the pairs) had been resampled with replacement, and recomputes all metrics. The middle 95 % of the
replicates are the interval.

Weights are integers of mean 1 and variance 1, Poisson(1) to within 1/256:

    by pair       every pair has a weight of its own
    by identity   genuine pair:  the weight of its identity
                  impostor pair: the product of the weights of its two identities

The product of two weights has variance 3, but impostor pairs without a common identity need 1.
Therefore some identity weights in impostor pairs, chosen at random, are replaced by 1; `share_kept`
is the share that is not.

References: Owen, "The pigeonhole bootstrap", 2007; Fogliato, Patil and Perona, "Confidence
intervals for error rates in 1:1 matching tasks", 2024.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

NUM_REPLICATES = 1000
_TAIL = 0.025

# More pairs take longer than 10 seconds, and their intervals are so narrow that other sources of
# uncertainty matter more.
MAX_PAIRS = 2_000_000

# Pairs whose weights are requested at a time. Sums of products of so many weights (up to 5 for
# genuine pairs, 25 for impostor pairs) stay below 2^32.
_MAX_ROWS = 8192
# Pairs whose cumulative sums are held at a time: 8 MB for 1,000 replicates.
_CHUNK_ROWS = 2048
_PRODUCT_ROWS = 64
# Rows of random numbers at a time: they stay in the processor's cache.
_RANDOM_ROWS = 256

# How many of 256 random bytes become the weights 0, 1, .. 5.
_NUM_BYTES = np.array([94, 95, 46, 16, 4, 1])

# Bytes of identity weights held at a time; a block has at least this many replicates.
_MAX_BYTES = 1 << 26
_MIN_REPLICATES = 128

# The weights of rows [start, stop) of `SortedPairs`, at most `_MAX_ROWS` of them: those of the
# genuine and those of the impostor pairs, uint8 [pairs, replicates] each.
Weights = Callable[[int, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Intervals:
    """95 % confidence intervals [low, high] of the metrics of a pair set.

    Attributes:
        by: what was resampled, "identity" or "pair". If identities occur in several pairs,
            intervals by pair are too narrow.
        accuracy: of the share of correct predictions, with the folds' thresholds held fixed.
        tar_at_far: one interval for each requested FAR.

    Example:
        >>> is_genuine = np.arange(200) % 2 == 0
        >>> similarity = np.random.default_rng(0).normal(size=200) + 3 * is_genuine
        >>> intervals = bootstrap_intervals(similarity, is_genuine, is_genuine, [0.1])
        >>> intervals.by, intervals.accuracy[0] < intervals.accuracy[1]
        ('pair', True)
    """

    by: str
    accuracy: list[float]
    eer: list[float]
    auc: list[float]
    tar_at_far: list[list[float]]


def bootstrap_intervals(
    similarity: np.ndarray,
    is_genuine: np.ndarray,
    is_correct: np.ndarray,
    fars: Sequence[float],
    identities: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    num_replicates: int = NUM_REPLICATES,
    seed: int = 0,
) -> Intervals | None:
    """Computes the intervals of the metrics of a pair set.

    Time grows by about 5 seconds per million pairs. Memory does not depend on the number of pairs;
    identities take 2 bytes for each replicate, at most 128 MiB in all.

    Args:
        similarity: float [num_pairs], finite.
        is_genuine: bool [num_pairs], with both genuine and impostor pairs.
        is_correct: bool [num_pairs], whether the accuracy counts the pair as correct.
        fars: false accept rates, each in (0, 1].
        identities: int [num_pairs] of the first and of the second images; None if unknown.
        num_replicates: > 0.
        seed: >= 0; the same seed gives the same intervals on every machine.

    Returns:
        The intervals; None for more than 2 million pairs.

    Example:
        >>> is_genuine = np.arange(200) % 2 == 0
        >>> similarity = np.random.default_rng(0).normal(size=200) + 3 * is_genuine
        >>> is_correct = (similarity > 1.5) == is_genuine
        >>> low, high = bootstrap_intervals(similarity, is_genuine, is_correct, [0.1]).accuracy
        >>> bool(low < is_correct.mean() < high)
        True
    """
    if len(similarity) > MAX_PAIRS:
        return None
    pairs = SortedPairs(similarity, is_genuine, is_correct)
    blocks = draw_weights(pairs, identities, num_replicates, seed)
    replicates = np.concatenate(
        [replicate_metrics(pairs, weights, fars) for weights in blocks], axis=1
    )
    # The metrics of a replicate without pairs of both kinds are undefined.
    replicates = replicates[:, np.isfinite(replicates).all(axis=0)]
    if not replicates.size:
        return None
    accuracy, eer, auc, *tar = np.quantile(replicates, [_TAIL, 1 - _TAIL], axis=1).T.tolist()
    by = "pair" if identities is None else "identity"
    return Intervals(by=by, accuracy=accuracy, eer=eer, auc=auc, tar_at_far=tar)


class SortedPairs:
    """Pairs in descending order of similarity, in segments between the corners of the ROC curve.

    A segment is a run of pairs of one kind, or all pairs with one similarity that both kinds have:
    these are accepted together. The ROC curve is straight inside a segment.

    Attributes:
        rows: int64 [num_pairs], the pairs in order.
        is_genuine, is_correct: bool [num_pairs], in order.
        num_genuine: int64 [num_pairs + 1], genuine pairs before each row, and the total.
        starts: int64 [segments + 1], first row of each segment, and the end.
        has_genuine, has_impostor: bool [segments].

    Example:
        >>> is_genuine = np.array([True, False, True])
        >>> pairs = SortedPairs(np.array([0.2, 0.5, 0.9]), is_genuine, is_genuine)
        >>> pairs.rows.tolist(), pairs.starts.tolist()
        ([2, 1, 0], [0, 1, 2, 3])
    """

    def __init__(self, similarity: np.ndarray, is_genuine: np.ndarray, is_correct: np.ndarray):
        # Ties are ordered by kind and correctness: the result is independent of the set's order.
        rows = np.argsort(2 * is_genuine.astype(np.uint8) + is_correct, kind="stable")
        self.rows = rows[np.argsort(-similarity[rows], kind="stable")]
        self.is_genuine, self.is_correct = is_genuine[self.rows], is_correct[self.rows]
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

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Yields ranges of segments with few pairs in all, or a single segment with many."""
        low, num_segments = 0, len(self.starts) - 1
        while low < num_segments:
            end = self.starts[low] + _CHUNK_ROWS
            high = max(low + 1, int(np.searchsorted(self.starts, end, side="right")) - 1)
            yield low, high
            low = high


def draw_weights(
    pairs: SortedPairs,
    identities: tuple[np.ndarray, np.ndarray] | None,
    num_replicates: int,
    seed: int,
) -> Iterator[Weights]:
    """Yields the weights of all replicates, in blocks of limited memory.

    Args:
        identities: int [num_pairs] of the first and of the second images; None to draw by pair.
        seed: >= 0; the same seed gives the same weights on every machine.
    """
    if identities is None:
        yield _cached_if_few(pairs, _weights_by_pair(pairs, num_replicates, seed))
        return
    names, numbers = np.unique(np.concatenate(identities), return_inverse=True)
    first, second = numbers.reshape(2, -1)[:, pairs.rows]
    block = max(_MIN_REPLICATES, _MAX_BYTES // len(names))
    for number, start in enumerate(range(0, num_replicates, block)):
        size = min(block, num_replicates - start)
        generator = np.random.PCG64((seed, number))
        weights = _weights_by_identity(pairs, first, second, len(names), size, generator)
        yield _cached_if_few(pairs, weights)


def share_kept(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the share of identity weights that impostor pairs use; the others become 1.

    With a share t, the weight of a pair has variance 2 t + t^2, and the weights of two pairs with a
    common identity have covariance t. If the metric of a pair is u_a + u_b + noise, two such pairs
    have a correlation r <= 1/2. If s other pairs share an identity with each pair, the variance of
    the mean is proportional to 1 + s r, and that of its replicates to 2 t + t^2 + s r t. This t
    makes both equal for r = 1/2; for a smaller r the second is larger: intervals are conservative.

    Args:
        first, second: int [impostor pairs], their identities.

    Returns:
        From 0.41, if no two pairs have a common identity, up to nearly 1.
    """
    num_pairs = np.bincount(np.concatenate([first, second]))
    half = np.mean(num_pairs[first] + num_pairs[second] - 2) / 2
    return float((np.sqrt((2 + half) ** 2 + 4 * (1 + half)) - (2 + half)) / 2)


def _weights_by_pair(pairs: SortedPairs, num_replicates: int, seed: int) -> Weights:
    table = _weight_table()
    # Each row begins with a new random word, so that any rows can be drawn again separately.
    num_words = -(-num_replicates // 8)

    def weights(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.PCG64(seed)
        generator.advance(start * num_words)
        [drawn] = _draw_rows(generator, stop - start, num_replicates, [table])
        is_genuine = pairs.is_genuine[start:stop]
        return drawn[is_genuine], drawn[~is_genuine]

    return weights


def _weights_by_identity(
    pairs: SortedPairs,
    first: np.ndarray,
    second: np.ndarray,
    num_identities: int,
    num_replicates: int,
    generator: np.random.PCG64,
) -> Weights:
    kept = share_kept(first[~pairs.is_genuine], second[~pairs.is_genuine])
    tables = [_weight_table(), _weight_table(kept)]
    in_genuine, in_impostor = _draw_rows(generator, num_identities, num_replicates, tables)

    def weights(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        is_genuine = pairs.is_genuine[start:stop]
        a, b = first[start:stop], second[start:stop]
        genuine = in_genuine.take(a[is_genuine], axis=0)
        impostor = in_impostor.take(a[~is_genuine], axis=0)
        impostor *= in_impostor.take(b[~is_genuine], axis=0)
        return genuine, impostor

    return weights


def _weight_table(kept: float = 1) -> bytes:
    """Returns the weight for each of 256 bytes; their mean is 1, their variance `kept`.

    Args:
        kept: share of the weights other than 1 that are kept; the others become 1.
    """
    weight = np.arange(len(_NUM_BYTES))
    num_kept = np.rint(kept * _NUM_BYTES).astype(int)
    num_kept[0] = np.sum((weight - 1)[2:] * num_kept[2:])
    table = np.ones(256, np.uint8)
    starts = np.cumsum(_NUM_BYTES) - _NUM_BYTES
    for start, count, value in zip(starts, num_kept, weight, strict=True):
        table[start : start + count] = value
    return table.tobytes()


def _draw_rows(
    generator: np.random.PCG64, num_rows: int, num_replicates: int, tables: list[bytes]
) -> list[np.ndarray]:
    """Draws bytes and maps them by each table: uint8 [num_rows, num_replicates] for each."""
    num_words = -(-num_replicates // 8)
    drawn = [np.empty((num_rows, num_replicates), np.uint8) for _ in tables]
    for start in range(0, num_rows, _RANDOM_ROWS):
        rows = slice(start, min(start + _RANDOM_ROWS, num_rows))
        words = generator.random_raw((rows.stop - rows.start) * num_words)
        # Little-endian on every machine.
        random = words.astype("<u8", copy=False).tobytes()
        for weights, table in zip(drawn, tables, strict=True):
            mapped = np.frombuffer(random.translate(table), np.uint8)
            weights[rows] = mapped.reshape(-1, 8 * num_words)[:, :num_replicates]
    return drawn


def _cached_if_few(pairs: SortedPairs, weights: Weights) -> Weights:
    """Returns a function that computes the weights of a small set only once."""
    if pairs.num_pairs > _MAX_ROWS:
        return weights
    genuine, impostor = weights(0, pairs.num_pairs)

    def cached(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        before, after = pairs.num_genuine[start], pairs.num_genuine[stop]
        return genuine[before:after], impostor[start - before : stop - after]

    return cached


def replicate_metrics(pairs: SortedPairs, weights: Weights, fars: Sequence[float]) -> np.ndarray:
    """Returns accuracy, EER, AUC, and the TAR at each FAR of every replicate.

    They equal the metrics of `metrics.roc` for a set with each pair repeated by its weight.

    Args:
        fars: each in (0, 1].

    Returns:
        float64 [3 + len(fars), replicates]; NaN if one kind of pair has no weight.
    """
    num_genuine, num_impostor, num_wrong = _totals(pairs, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        allowed = np.stack([_max_false_accepts(far, num_impostor) for far in fars])
        true_accepts = np.broadcast_to(num_genuine, allowed.shape).copy()
        eer = np.full(len(num_genuine), np.nan)
        doubled_area, genuine_before, impostor_before = np.zeros((3, len(num_genuine)), np.int64)
        for low, high in pairs.chunks():
            chunk = _Chunk(pairs, weights, low, high)
            doubled_area += chunk.doubled_area() + 2 * genuine_before * chunk.impostor[-1]
            chunk.find_true_accepts(allowed - impostor_before, genuine_before, true_accepts)
            chunk.find_eer(genuine_before, impostor_before, num_genuine, num_impostor, eer)
            genuine_before += chunk.genuine[-1]
            impostor_before += chunk.impostor[-1]
        metrics = np.stack(
            [
                1 - num_wrong / (num_genuine + num_impostor),
                eer,
                doubled_area / (2 * num_genuine * num_impostor),
                *(true_accepts / num_genuine),
            ]
        )
    metrics[:, (num_genuine == 0) | (num_impostor == 0)] = np.nan
    return metrics


def _totals(pairs: SortedPairs, weights: Weights) -> np.ndarray:
    """Returns the total weight of genuine, impostor and wrong pairs: int64 [3, replicates]."""
    totals: np.ndarray = np.zeros((), np.int64)
    for start in range(0, pairs.num_pairs, _MAX_ROWS):
        stop = min(start + _MAX_ROWS, pairs.num_pairs)
        genuine, impostor = weights(start, stop)
        is_genuine, is_wrong = pairs.is_genuine[start:stop], ~pairs.is_correct[start:stop]
        wrong = _sum(genuine[is_wrong[is_genuine]]) + _sum(impostor[is_wrong[~is_genuine]])
        totals = totals + np.stack([_sum(genuine), _sum(impostor), wrong])
    return totals


def _sum(weights: np.ndarray) -> np.ndarray:
    return np.add.reduce(weights, axis=0, dtype=np.uint32)


def _max_false_accepts(far: float, num_impostor: np.ndarray) -> np.ndarray:
    """Returns the number of false accepts that `far` allows, as in `tar_at_far`: int64 [r]."""
    allowed = (far * num_impostor).astype(np.int64) + 1
    for _ in range(2):
        allowed -= allowed / num_impostor > far
    return allowed


class _Chunk:
    """Some segments, and the accepted weight after each of them, for all replicates.

    A corner is a position between segments: corner i precedes segment i of the chunk.

    Attributes:
        genuine: uint32 [segments with genuine pairs + 1, replicates], cumulative weight at the end
            of each, from the start of the chunk.
        impostor: the same for impostor pairs.
    """

    def __init__(self, pairs: SortedPairs, weights: Weights, low: int, high: int):
        self._has_genuine = pairs.has_genuine[low:high]
        self._has_impostor = pairs.has_impostor[low:high]
        # Rows of `genuine` and `impostor` at each corner.
        self._genuine_row = np.concatenate([[0], np.cumsum(self._has_genuine)])
        self._impostor_row = np.concatenate([[0], np.cumsum(self._has_impostor)])
        starts = pairs.starts[low : high + 1]
        first, last = int(starts[0]), int(starts[-1])
        if last - first > _CHUNK_ROWS:
            genuine, impostor = _sum_rows(weights, first, last)
            num_genuine, num_impostor = self._genuine_row, self._impostor_row
        else:
            genuine, impostor = weights(first, last)
            num_genuine = pairs.num_genuine[starts] - pairs.num_genuine[first]
            num_impostor = starts - first - num_genuine
        self.genuine = _cumulative_sums(genuine, num_genuine)
        self.impostor = _cumulative_sums(impostor, num_impostor)

    def doubled_area(self) -> np.ndarray:
        """Returns twice the area under the chunk's curve, from its start: int64 [replicates]."""
        # The height before each segment with impostors.
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
        """Sets the genuine weight at the last corner with at most `allowed` impostor weight.

        Args:
            allowed: int64 [fars, replicates], beyond the weight before the chunk; limits that are
                not exceeded in this chunk are skipped.
            genuine_before: int64 [replicates].
            true_accepts: int64 [fars, replicates], modified.
        """
        fars, replicates = np.nonzero((allowed >= 0) & (allowed < self.impostor[-1]))
        limit = allowed[fars, replicates]
        end = len(self.impostor) - 1
        row = _last_true(lambda row: self.impostor[row, replicates] <= limit, len(limit), end)
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
        """Sets the rate where the curve crosses FAR = 1 - TAR, if it does so in this chunk.

        Args:
            genuine_before, impostor_before: int64 [replicates], weight before the chunk.
            num_genuine, num_impostor: int64 [replicates], total weight.
            eer: float64 [replicates], modified.
        """

        def false_accepts(corner: np.ndarray | int, of: np.ndarray) -> np.ndarray:
            return impostor_before[of] + self.impostor[self._impostor_row[corner], of]

        def difference(corner: np.ndarray | int, of: np.ndarray) -> np.ndarray:
            """FAR - FRR times both totals, which never decreases."""
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
    """Sums the weights of genuine and of impostor pairs of any number of rows: uint32 [1, r]."""
    sums: np.ndarray = np.zeros((), np.uint32)
    for piece in range(start, stop, _MAX_ROWS):
        of_piece = weights(piece, min(piece + _MAX_ROWS, stop))
        sums = sums + np.stack([_sum(of_kind) for of_kind in of_piece])
    return sums[:1], sums[1:]


def _cumulative_sums(weights: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Sums weights up to each bound: uint32 [distinct bounds, replicates], beginning with 0.

    Args:
        weights: uint8 or uint32 [pairs, replicates].
        bounds: int [bounds], ascending from 0 to `pairs`; duplicates count once.
    """
    bounds = np.unique(bounds).tolist()
    sums = np.zeros((len(bounds), weights.shape[1]), np.uint32)
    # Row by row is several times as fast as `np.add.accumulate` or `reduceat`.
    for row in range(1, len(bounds)):
        start, stop = bounds[row - 1], bounds[row]
        if stop - start == 1:
            np.add(sums[row - 1], weights[start], out=sums[row])
        else:
            np.add.reduce(weights[start:stop], axis=0, dtype=np.uint32, out=sums[row])
            sums[row] += sums[row - 1]
    return sums


def _last_true(holds: Callable[[np.ndarray], np.ndarray], count: int, end: int) -> np.ndarray:
    """Bisects for the last number from 0 to `end` for which a condition holds: int64 [count].

    Args:
        holds: int64 [count] -> bool [count]; monotonic, true at 0 and false at `end`.
    """
    low, high = np.zeros(count, np.int64), np.full(count, end)
    while np.any(high - low > 1):
        middle = (low + high) // 2
        here = holds(middle)
        low, high = np.where(here, middle, low), np.where(here, high, middle)
    return low
