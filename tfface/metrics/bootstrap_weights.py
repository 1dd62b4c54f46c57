"""The weights that the bootstrap gives to pairs: how often each is there in a replicate.

By identity, all genuine pairs of a person have that person's weight, and an impostor pair has the
product of its two people's weights: pairs of one person come and go together, because what makes a
face hard makes all its pairs hard. By pair, each has a weight of its own.

Weights are whole numbers of mean 1 and variance 1, Poisson(1) to within 1/256. The product of two
has variance 3, where impostor pairs that share nobody need 1. So in impostor pairs some of the
people's weights, chosen by chance, are replaced by 1; `share_kept` says how many are not.

References: Owen, "The pigeonhole bootstrap", 2007; Fogliato, Patil and Perona, "Confidence
intervals for error rates in 1:1 matching tasks", 2024.
"""

from collections.abc import Iterator

import numpy as np

from tfface.metrics.bootstrap_metrics import MOST_ROWS, PairOrder, Weights

# How many of 256 random bytes become the weights 0, 1, .. 5.
_NUM_BYTES = np.array([94, 95, 46, 16, 4, 1])

# Of the weights of people that are held at a time; fewer replicates at a time don't pay.
_MOST_BYTES = 1 << 26
_LEAST_REPLICATES = 128

_DRAWN_ROWS = 256


def draw_weights(
    order: PairOrder,
    identities: tuple[np.ndarray, np.ndarray] | None,
    num_replicates: int,
    seed: int,
) -> Iterator[Weights]:
    """Yields the weights of all replicates, in blocks that are not too large.

    Args:
        identities: int [num_pairs] of the first images and of the second; None to draw by pair.
        seed: >= 0; the same seed gives the same weights, on every machine.
    """
    if identities is None:
        yield _kept_if_few(order, _weights_by_pair(order, num_replicates, seed))
        return
    names, numbers = np.unique(np.concatenate(identities), return_inverse=True)
    first, second = numbers.reshape(2, -1)[:, order.rows]
    block = max(_LEAST_REPLICATES, _MOST_BYTES // len(names))
    for number, start in enumerate(range(0, num_replicates, block)):
        size = min(block, num_replicates - start)
        generator = np.random.PCG64((seed, number))
        weights = _weights_by_identity(order, first, second, len(names), size, generator)
        yield _kept_if_few(order, weights)


def share_kept(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the share of people's weights that impostor pairs use; the others become 1.

    With a share t, a pair's weight has variance 2 t + t^2, and the weights of two pairs with a
    person in common have covariance t. If figures of pairs are u_a + u_b + noise, those of two such
    pairs have a correlation r of at most 1/2. With s other pairs for each that have a person in
    common with it, the variance of their mean goes with 1 + s r, and that of its replicates with
    2 t + t^2 + s r t. Here t makes both the same for r = 1/2; for a smaller r the second is larger,
    and intervals are rather too wide.

    Args:
        first, second: int [impostor pairs], their people.
    Returns: from 0.41, where no two pairs have anybody in common, up to nearly 1.
    """
    num_pairs = np.bincount(np.concatenate([first, second]))
    half = np.mean(num_pairs[first] + num_pairs[second] - 2) / 2
    return float((np.sqrt((2 + half) ** 2 + 4 * (1 + half)) - (2 + half)) / 2)


def _weights_by_pair(order: PairOrder, num_replicates: int, seed: int) -> Weights:
    table = _table()
    # Each row starts with a word of its own, so that any can be drawn again by themselves.
    num_words = -(-num_replicates // 8)

    def weights(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.PCG64(seed)
        generator.advance(start * num_words)
        [drawn] = _draw_rows(generator, stop - start, num_replicates, [table])
        is_genuine = order.is_genuine[start:stop]
        return drawn[is_genuine], drawn[~is_genuine]

    return weights


def _weights_by_identity(
    order: PairOrder,
    first: np.ndarray,
    second: np.ndarray,
    num_identities: int,
    num_replicates: int,
    generator: np.random.PCG64,
) -> Weights:
    kept = share_kept(first[~order.is_genuine], second[~order.is_genuine])
    tables = [_table(), _table(kept)]
    in_genuine, in_impostor = _draw_rows(generator, num_identities, num_replicates, tables)

    def weights(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        is_genuine = order.is_genuine[start:stop]
        a, b = first[start:stop], second[start:stop]
        genuine = in_genuine.take(a[is_genuine], axis=0)
        impostor = in_impostor.take(a[~is_genuine], axis=0)
        impostor *= in_impostor.take(b[~is_genuine], axis=0)
        return genuine, impostor

    return weights


def _table(kept: float = 1) -> bytes:
    """Returns the weight that each of 256 bytes becomes; their mean is 1, their variance `kept`.

    Args:
        kept: share of the weights other than 1 that stay as they are; the others become 1.
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
    """Draws bytes, and looks them up in each table: uint8 [num_rows, num_replicates] of each."""
    num_words = -(-num_replicates // 8)
    drawn = [np.empty((num_rows, num_replicates), np.uint8) for _ in tables]
    # Some rows at a time stay in the processor's cache.
    for start in range(0, num_rows, _DRAWN_ROWS):
        rows = slice(start, min(start + _DRAWN_ROWS, num_rows))
        words = generator.random_raw((rows.stop - rows.start) * num_words)
        # Lower bytes first on every machine.
        random = words.astype("<u8", copy=False).tobytes()
        for weights, table in zip(drawn, tables, strict=True):
            looked_up = np.frombuffer(random.translate(table), np.uint8)
            weights[rows] = looked_up.reshape(-1, 8 * num_words)[:, :num_replicates]
    return drawn


def _kept_if_few(order: PairOrder, weights: Weights) -> Weights:
    """Returns a function that doesn't make the same weights again, if there are few pairs."""
    if order.num_pairs > MOST_ROWS:
        return weights
    genuine, impostor = weights(0, order.num_pairs)

    def kept(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        before, after = order.num_genuine[start], order.num_genuine[stop]
        return genuine[before:after], impostor[start - before : stop - after]

    return kept
