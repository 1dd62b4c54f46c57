"""Samples pairs of labeled images."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tfface import seeding
from tfface.errors import InputError
from tfface.metrics.k_fold import NUM_FOLDS


def make_pairs(
    labels: np.ndarray, num_pairs: int, seed: int, num_folds: int = NUM_FOLDS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples distinct pairs, half of them genuine and half impostors.

    Genuine pairs are distributed evenly over the identities, as far as they have images: a person
    with many images does not outweigh the rest. Impostor pairs are sampled uniformly from all pairs
    of images of two identities. As in LFW, each fold has its genuine and then its impostor pairs.

    Args:
        labels: int [num_images], the identity of each image.
        num_pairs: a multiple of 2 * num_folds.
        seed: >= 0; the same seed gives the same pairs on every machine.
        num_folds: > 0.

    Returns:
        `first` and `second`, int64 [num_pairs], indices in `labels`; `is_genuine`, bool.

    Raises:
        InputError: `num_pairs` is not such a multiple, or more than the images allow.

    Example:
        >>> first, second, is_genuine = make_pairs(np.repeat([0, 1], 3), 4, seed=0, num_folds=1)
        >>> is_genuine.tolist()
        [True, True, False, False]
    """
    labels = np.asarray(labels)
    _check_multiple(num_pairs, num_folds)
    half = num_pairs // 2
    possible = num_possible_pairs(labels)
    for kind, number in zip(("genuine", "impostor"), possible, strict=True):
        if number < half:
            raise InputError(
                f"{num_pairs} pairs need {half} {kind} pairs, but {len(labels)} images of "
                f"{len(np.unique(labels))} identities make only {number}"
            )
    # Axes: fold, kind, pair.
    genuine, impostor = _genuine_pairs(labels, half, seed), _impostor_pairs(labels, half, seed)
    folds = np.stack(
        [part.reshape(num_folds, half // num_folds, 2) for part in (genuine, impostor)], axis=1
    )
    first, second = folds.reshape(num_pairs, 2).T
    is_genuine = labels[first] == labels[second]
    return first, second, is_genuine


def _check_multiple(num_pairs: int, num_folds: int) -> None:
    if num_pairs < 1 or num_pairs % (2 * num_folds):
        raise InputError(
            f"{num_pairs} pairs: expected a multiple of {2 * num_folds}, so that each of "
            f"{num_folds} folds holds as many genuine as impostor pairs"
        )


def num_possible_pairs(labels: np.ndarray) -> tuple[int, int]:
    """Returns the numbers of possible genuine and impostor pairs.

    Args:
        labels: int [num_images], the identity of each.
    """
    sizes = np.unique(labels, return_counts=True)[1].astype(object)  # integers of any size
    genuine = int(sum(sizes * (sizes - 1) // 2))
    return genuine, len(labels) * (len(labels) - 1) // 2 - genuine


def deduplicate_images(
    first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the distinct images of pairs, and the pairs as indices of these.

    Args:
        first, second: int [num_pairs], image numbers.

    Returns:
        The sorted distinct image numbers, and `first` and `second` as indices in them.
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
        drawn = sample_distinct(
            seeding.fold(seed, 1, int(identity)), size * (size - 1) // 2, quotas[identity]
        )
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
    # With images sorted by identity, each has a pair with every image behind its own identity's.
    before = np.concatenate([[0], np.cumsum(len(labels) - ends)])
    drawn = sample_distinct(seeding.fold(seed, 3), int(before[-1]), num_pairs)
    low = np.searchsorted(before, drawn, side="right") - 1
    high = ends[low] + drawn - before[low]
    return order[np.stack([low, high], axis=1)]


def even_quotas(possible: np.ndarray, total: int, key: int) -> np.ndarray:
    """Distributes `total` as evenly as the limits `possible` allow; remainders are random.

    Args:
        possible: int [n], the most of each.
        total: their sum, or more: then each has its most.
        key: of the random numbers.
    """
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


def sample_distinct(key: int, population: int, count: int) -> np.ndarray:
    """Samples `count` distinct numbers below `population`, in random order.

    Args:
        key: of the random numbers.
        population: how many numbers there are.
        count: how many to draw, at most `population`.
    """
    if population <= 4 * count:
        return seeding.permutation(key, population)[:count]
    num_words = 2 * count
    while True:
        numbers = (seeding.words(key, num_words) % np.uint64(population)).astype(np.int64)
        _, first_seen = np.unique(numbers, return_index=True)
        if len(first_seen) >= count:
            return numbers[np.sort(first_seen)[:count]]
        num_words *= 2


class DisjointFolds:
    """Pairs in folds without a common identity.

    The accuracy of each fold is measured with a threshold that is chosen on the other folds. Here,
    no person is in two folds, so the threshold is always tested on unseen people.

    Identities are sorted by their number of genuine pairs and assigned to folds back and forth, so
    that folds are similar. The same arguments give the same pairs on every machine.

    Args:
        labels: int [num_images], the identity of each image.
        num_folds: > 0.
        seed: >= 0; of the folds and the pairs.
        first, second: bool [num_images], images that may be the first, and the second, image of a
            pair; all by default. An image may be both.

    Attributes:
        max_pairs: the maximum number of pairs, a multiple of 2 * num_folds.

    Example:
        >>> labels = np.repeat(np.arange(4), 3)
        >>> first, second, is_genuine = DisjointFolds(labels, num_folds=2).make_pairs(8)
        >>> set(labels[first[:4]]) & set(labels[first[4:]])
        set()
    """

    def __init__(
        self,
        labels: np.ndarray,
        num_folds: int = NUM_FOLDS,
        seed: int = 0,
        first: np.ndarray | None = None,
        second: np.ndarray | None = None,
    ):
        labels = np.asarray(labels)
        everything = np.ones(len(labels), bool)
        first = everything if first is None else np.asarray(first, bool)
        second = everything if second is None else np.asarray(second, bool)
        self._arguments = (labels, num_folds, seed, first, second)
        # Sorted by identity.
        order = np.argsort(labels, kind="stable")
        order = order[(first | second)[order]]
        _, identities = np.unique(labels[order], return_inverse=True)
        fold_of = _assign_folds(
            _num_genuine(identities, first[order], second[order]), num_folds, seed
        )
        self._folds = [
            _Fold(
                seed=seeding.fold(seed, 10, number),
                images=order[in_fold],
                identities=identities[in_fold],
                first=first[order[in_fold]],
                second=second[order[in_fold]],
            )
            for number in range(num_folds)
            for in_fold in [fold_of[identities] == number]
        ]
        self.max_pairs = 2 * num_folds * min(fold.max_of_each_label for fold in self._folds)

    def make_pairs(self, num_pairs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Samples distinct pairs, in each fold half of them genuine and half impostors.

        Within a fold, genuine pairs are distributed evenly over the identities, as far as they have
        images, and so are the two images of an impostor pair. As in LFW, each fold has its genuine
        and then its impostor pairs.

        Args:
            num_pairs: a multiple of 2 * num_folds.

        Returns:
            `first` and `second`, int64 [num_pairs], indices in `labels`; `is_genuine`, bool.

        Raises:
            InputError: `num_pairs` is not such a multiple, or more than the images allow; the
                message suggests another number.
        """
        num_folds = len(self._folds)
        _check_multiple(num_pairs, num_folds)
        if num_pairs > self.max_pairs:
            raise InputError(self._shortage(num_pairs))
        per_label = num_pairs // (2 * num_folds)
        pairs = np.concatenate(
            [
                part
                for fold in self._folds
                for part in (fold.genuine_pairs(per_label), fold.impostor_pairs(per_label))
            ]
        )
        is_genuine = np.tile(np.repeat([True, False], per_label), num_folds)
        return pairs[:, 0], pairs[:, 1], is_genuine

    def _shortage(self, num_pairs: int) -> str:
        """Explains which pairs are missing, and what is possible."""
        num_folds = len(self._folds)
        fold = min(self._folds, key=lambda fold: fold.max_of_each_label)
        num_people = sum(fold.num_identities for fold in self._folds)
        if num_people < 2 * num_folds:
            problem = (
                f"{num_people} {'person is' if num_people == 1 else 'people are'} too few for "
                f"{num_folds} folds: each fold needs at least 2 people of its own, so "
                f"{2 * num_folds} in all"
            )
        else:
            kind = "genuine" if fold.max_of_each_label == fold.num_genuine else "impostor"
            problem = (
                f"{num_pairs} pairs in {num_folds} folds without a common identity need "
                f"{num_pairs // (2 * num_folds)} {kind} pairs in each, but one has images for only "
                f"{fold.max_of_each_label} (of {fold.num_identities} identities)"
            )
        if self.max_pairs:
            return f"{problem}: {self.max_pairs} pairs are possible"
        labels, _, *others = self._arguments
        for fewer in range(num_folds - 1, 1, -1):
            if most := DisjointFolds(labels, fewer, *others).max_pairs:
                return (
                    f"{problem}; {fewer} folds are possible (--folds {fewer}), with up to {most} "
                    "pairs"
                )
        return (
            f"{problem}; with too few people, or images of them, for any folds, make a gallery "
            "('tfface gallery build') and choose its threshold with 'tfface gallery calibrate'"
        )


@dataclass(frozen=True)
class _Fold:
    """The images of one fold, sorted by identity.

    Attributes:
        seed: of the fold's pairs.
        images: int64 [images], indices in all labels.
        identities: int [images], sorted.
        first, second: bool [images], whether an image may be the first, and the second, of a pair.
    """

    seed: int
    images: np.ndarray
    identities: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @property
    def num_identities(self) -> int:
        return len(self._sizes_of(self.first | self.second))

    @cached_property
    def num_genuine(self) -> int:
        return int(self._genuine_per_identity.sum())

    @cached_property
    def num_impostor(self) -> int:
        # All ordered pairs of two identities, minus one of each two in opposite order.
        first, second, both = (
            self._sizes_of(mask).astype(object)
            for mask in (self.first, self.second, self.first & self.second)
        )
        ordered = sum(first) * sum(second) - sum(first * second)
        return int(ordered - (sum(both) ** 2 - sum(both * both)) // 2)

    @property
    def max_of_each_label(self) -> int:
        return min(self.num_genuine, self.num_impostor)

    @cached_property
    def _genuine_per_identity(self) -> np.ndarray:
        return _num_genuine(self._local_identities, self.first, self.second)

    @cached_property
    def _local_identities(self) -> np.ndarray:
        """int [images], identities numbered from 0 in this fold."""
        return np.unique(self.identities, return_inverse=True)[1]

    def _sizes_of(self, mask: np.ndarray) -> np.ndarray:
        """Returns the number of images of each identity within `mask`."""
        return np.bincount(self._local_identities, mask).astype(np.int64)

    def genuine_pairs(self, count: int) -> np.ndarray:
        """Returns int64 [count, 2], shuffled."""
        quotas = even_quotas(self._genuine_per_identity, count, seeding.fold(self.seed, 0))
        starts = np.searchsorted(self._local_identities, np.arange(len(quotas) + 1))
        pairs = []
        for identity in np.flatnonzero(quotas):
            own = slice(starts[identity], starts[identity + 1])
            firsts = own.start + np.flatnonzero(self.first[own])
            seconds = own.start + np.flatnonzero(self.second[own])

            def numbered(numbers: np.ndarray, firsts=firsts, seconds=seconds) -> np.ndarray:
                a, b = np.divmod(numbers, len(seconds))
                return np.stack([firsts[a], seconds[b]], axis=1)

            key = seeding.fold(self.seed, 1, int(identity))
            population = len(firsts) * len(seconds)
            pairs.append(self._sample(key, population, int(quotas[identity]), numbered))
        pairs = self.images[np.concatenate(pairs)]
        return pairs[seeding.permutation(seeding.fold(self.seed, 2), count)]

    def impostor_pairs(self, count: int) -> np.ndarray:
        """Returns int64 [count, 2], shuffled."""
        # Usually enough; the rest of small folds is sampled from all possible pairs.
        pairs = self._random_impostors(seeding.fold(self.seed, 3), 8 * count)
        if len(pairs) < count:
            wanted = min(count + len(pairs), self.num_impostor)
            pairs = _distinct(np.concatenate([pairs, self._any_impostors(wanted)]))
        return self.images[pairs[:count]]

    def _random_impostors(self, key: int, tries: int) -> np.ndarray:
        """Samples two identities and an image of each, uniformly; returns distinct pairs."""
        sides = []
        words = seeding.words(key, 4 * tries).reshape(2, 2, tries)
        for mask, (identity_words, image_words) in zip(
            (self.first, self.second), words, strict=True
        ):
            images = np.flatnonzero(mask)
            _, starts, sizes = np.unique(
                self._local_identities[images], return_index=True, return_counts=True
            )
            identities = (identity_words % np.uint64(len(sizes))).astype(np.int64)
            offsets = (image_words % sizes[identities].astype(np.uint64)).astype(np.int64)
            sides.append(images[starts[identities] + offsets])
        pairs = np.stack(sides, axis=1)
        pairs = pairs[self._local_identities[pairs[:, 0]] != self._local_identities[pairs[:, 1]]]
        swapped = ~self._is_canonical(pairs)
        pairs[swapped] = pairs[swapped, ::-1]
        return _distinct(pairs)

    def _any_impostors(self, count: int) -> np.ndarray:
        """Samples uniformly from all impostor pairs."""
        firsts, seconds = np.flatnonzero(self.first), np.flatnonzero(self.second)
        # Each first image has a pair with every second one but those of its own identity.
        own = [
            np.searchsorted(
                self._local_identities[seconds], self._local_identities[firsts], side=side
            )
            for side in ("left", "right")
        ]
        before = np.concatenate([[0], np.cumsum(len(seconds) - (own[1] - own[0]))])

        def numbered(numbers: np.ndarray) -> np.ndarray:
            a = np.searchsorted(before, numbers, side="right") - 1
            b = numbers - before[a]
            b += np.where(b >= own[0][a], own[1][a] - own[0][a], 0)
            return np.stack([firsts[a], seconds[b]], axis=1)

        return self._sample(seeding.fold(self.seed, 4), int(before[-1]), count, numbered)

    def _sample(
        self, key: int, population: int, count: int, numbered: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Samples distinct pairs of `population` numbered ones; `count` or more are valid.

        An image with itself is not valid, nor is one of two pairs in opposite order.
        """
        tries = 2 * count
        while True:
            pairs = numbered(sample_distinct(key, population, min(tries, population)))
            pairs = pairs[(pairs[:, 0] != pairs[:, 1]) & self._is_canonical(pairs)]
            if len(pairs) >= count or tries >= population:
                return pairs[:count]
            tries *= 2

    def _is_canonical(self, pairs: np.ndarray) -> np.ndarray:
        """False for one of two possible pairs of the same images in opposite order."""
        both = (self.first & self.second)[pairs].all(axis=1)
        return ~both | (pairs[:, 0] <= pairs[:, 1])


def _distinct(pairs: np.ndarray) -> np.ndarray:
    """Removes repeated pairs."""
    first_seen = np.unique(pairs, axis=0, return_index=True)[1]
    return pairs[np.sort(first_seen)]


def _num_genuine(identities: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the number of possible genuine pairs of each identity, int64 [num_identities].

    Args:
        identities: int [images], numbered from 0 without gaps.
        first, second: bool [images], whether an image may be the first, and the second, of a pair.
    """
    num_first, num_second, num_both = (
        np.bincount(identities, mask).astype(np.int64) for mask in (first, second, first & second)
    )
    # An image with itself is not a pair, and two in opposite order count once.
    return num_first * num_second - num_both - num_both * (num_both - 1) // 2


def _assign_folds(num_genuine: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    """Returns the fold of each identity, assigned back and forth by descending number of pairs."""
    shuffled = seeding.permutation(seeding.fold(seed, 11), len(num_genuine))
    order = shuffled[np.argsort(-num_genuine[shuffled], kind="stable")]
    rounds, positions = np.divmod(np.arange(len(order)), num_folds)
    fold_of = np.empty(len(order), np.int64)
    fold_of[order] = np.where(rounds % 2, num_folds - 1 - positions, positions)
    return fold_of
