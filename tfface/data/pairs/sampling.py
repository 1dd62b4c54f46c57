"""Pairs made from labelled images, for sets that were not published as pairs."""

import numpy as np

from tfface import seeding
from tfface.data.pairs.pair_set import NUM_FOLDS
from tfface.errors import InputError


def make_pairs(
    labels: np.ndarray, num_pairs: int, seed: int, num_folds: int = NUM_FOLDS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws as many genuine as impostor pairs, none of them twice.

    Genuine pairs come from all identities alike, as far as their images go: a person with many
    images does not outweigh the rest. Impostor pairs are drawn alike from all pairs of images of
    two identities. In order, each fold holds its genuine and then its impostor pairs, as LFW's do.

    Args:
        labels: int [num_images], the identity of each image.
        num_pairs: a multiple of 2 * num_folds.
        seed: >= 0; the same seed gives the same pairs, on every machine.
        num_folds: > 0.

    Returns: first and second, int64 [num_pairs], positions in `labels`; is_genuine, bool.

    Raises InputError: `num_pairs` is no such multiple, or more than the images allow.
    """
    labels = np.asarray(labels)
    if num_pairs < 1 or num_pairs % (2 * num_folds):
        raise InputError(
            f"{num_pairs} pairs: expected a multiple of {2 * num_folds}, so that each of "
            f"{num_folds} folds holds as many genuine as impostor pairs"
        )
    half = num_pairs // 2
    possible = num_possible_pairs(labels)
    for kind, number in zip(("genuine", "impostor"), possible, strict=True):
        if number < half:
            raise InputError(
                f"{num_pairs} pairs need {half} {kind} pairs, but {len(labels)} images of "
                f"{len(np.unique(labels))} identities make only {number}"
            )
    # Folds x (genuine, impostor) x pairs of each.
    genuine, impostor = _genuine_pairs(labels, half, seed), _impostor_pairs(labels, half, seed)
    folds = np.stack(
        [part.reshape(num_folds, half // num_folds, 2) for part in (genuine, impostor)], axis=1
    )
    first, second = folds.reshape(num_pairs, 2).T
    is_genuine = labels[first] == labels[second]
    return first, second, is_genuine


def num_possible_pairs(labels: np.ndarray) -> tuple[int, int]:
    """Returns how many different genuine and impostor pairs the images make."""
    sizes = np.unique(labels, return_counts=True)[1].astype(object)  # whole numbers of any size
    genuine = int(sum(sizes * (sizes - 1) // 2))
    return genuine, len(labels) * (len(labels) - 1) // 2 - genuine


def without_repeats(
    first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lists the images that pairs name once each.

    Returns: the images' numbers, rising; then `first` and `second` as positions in that list.
    """
    images, positions = np.unique(np.concatenate([first, second]), return_inverse=True)
    return images, positions[: len(first)], positions[len(first) :]


def _genuine_pairs(labels: np.ndarray, num_pairs: int, seed: int) -> np.ndarray:
    """Returns int64 [num_pairs, 2], shuffled."""
    order = np.argsort(labels, kind="stable")
    _, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    quotas = even_quotas(sizes * (sizes - 1) // 2, num_pairs, seeding.fold(seed, 0))
    pairs = []
    for identity in np.flatnonzero(quotas):
        size = sizes[identity]
        drawn = draw(seeding.fold(seed, 1, int(identity)), size * (size - 1) // 2, quotas[identity])
        # Pair number k is (low, high) with k = high * (high - 1) / 2 + low.
        triangle = np.arange(size) * (np.arange(size) - 1) // 2
        high = np.searchsorted(triangle, drawn, side="right") - 1
        pairs.append(starts[identity] + np.stack([drawn - triangle[high], high], axis=1))
    pairs = order[np.concatenate(pairs)]
    return pairs[seeding.permutation(seeding.fold(seed, 2), num_pairs)]


def _impostor_pairs(labels: np.ndarray, num_pairs: int, seed: int) -> np.ndarray:
    """Returns int64 [num_pairs, 2], shuffled."""
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], labels[order], side="right")
    # With images sorted by identity, each pairs with all those behind its own identity's.
    before = np.concatenate([[0], np.cumsum(len(labels) - ends)])
    drawn = draw(seeding.fold(seed, 3), int(before[-1]), num_pairs)
    low = np.searchsorted(before, drawn, side="right") - 1
    high = ends[low] + drawn - before[low]
    return order[np.stack([low, high], axis=1)]


def even_quotas(possible: np.ndarray, total: int, key: int) -> np.ndarray:
    """Shares `total` out as evenly as `possible` allows; chance picks who gets one more."""
    low, high = 0, int(possible.max())
    while low < high:
        level = (low + high + 1) // 2
        low, high = (
            (level, high) if np.minimum(possible, level).sum() <= total else (low, level - 1)
        )
    quotas = np.minimum(possible, low)
    able = np.flatnonzero(possible > low)
    quotas[able[seeding.permutation(key, len(able))[: total - quotas.sum()]]] += 1
    return quotas


def draw(key: int, population: int, count: int) -> np.ndarray:
    """Draws `count` different numbers below `population`, in random order."""
    if population <= 4 * count:
        return seeding.permutation(key, population)[:count]
    num_words = 2 * count
    while True:
        numbers = (seeding.words(key, num_words) % np.uint64(population)).astype(np.int64)
        _, first_seen = np.unique(numbers, return_index=True)
        if len(first_seen) >= count:
            return numbers[np.sort(first_seen)[:count]]
        num_words *= 2
