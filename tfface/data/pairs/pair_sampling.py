"""Pairs made from labelled images, for sets that were not published as pairs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

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

    Returns:
        First and second, int64 [num_pairs], positions in `labels`; is_genuine, bool.

    Raises:
        InputError: `num_pairs` is no such multiple, or more than the images allow.
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

    Returns:
        The images' numbers, rising; then `first` and `second` as positions in that list.
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


class DisjointFolds:
    """Identities dealt to folds, and the pairs that can be made inside each.

    Identities are sorted by the genuine pairs they can make and dealt to and fro, so that folds
    are as alike as can be. The same arguments give the same pairs, on every machine.

    Args:
        labels: int [num_images], the identity of each image.
        num_folds: > 0.
        seed: >= 0; of who goes where and of the pairs.
        first, second: bool [num_images], the images that may come first in a pair, and second;
            all by default. An image may be both.

    Attributes:
        most_pairs: the most pairs that `make_pairs` can make, a multiple of 2 * num_folds.
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
        # Images by identity, so that those of one follow each other.
        order = np.argsort(labels, kind="stable")
        order = order[(first | second)[order]]
        _, identities = np.unique(labels[order], return_inverse=True)
        fold_of = _deal(_num_genuine(identities, first[order], second[order]), num_folds, seed)
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
        self.most_pairs = 2 * num_folds * min(fold.most_of_a_kind for fold in self._folds)

    def make_pairs(self, num_pairs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draws as many genuine as impostor pairs in each fold, none of them twice.

        Inside a fold, genuine pairs come from all identities alike, as far as their images go, and
        so do the two of an impostor pair. In order, each fold holds its genuine and then its
        impostor pairs, as LFW's do.

        Returns:
            First and second, int64 [num_pairs], positions in `labels`; is_genuine, bool.

        Raises:
            InputError: `num_pairs` is no multiple of 2 * num_folds, or more than the images allow;
                the message says what would do.
        """
        num_folds = len(self._folds)
        if num_pairs < 1 or num_pairs % (2 * num_folds):
            raise InputError(
                f"{num_pairs} pairs: expected a multiple of {2 * num_folds}, so that each of "
                f"{num_folds} folds holds as many genuine as impostor pairs"
            )
        if num_pairs > self.most_pairs:
            raise InputError(self._shortage(num_pairs))
        of_a_kind = num_pairs // (2 * num_folds)
        pairs = np.concatenate(
            [
                part
                for fold in self._folds
                for part in (fold.genuine_pairs(of_a_kind), fold.impostor_pairs(of_a_kind))
            ]
        )
        is_genuine = np.tile(np.repeat([True, False], of_a_kind), num_folds)
        return pairs[:, 0], pairs[:, 1], is_genuine

    def _shortage(self, num_pairs: int) -> str:
        """Says what is missing, and what would do."""
        num_folds = len(self._folds)
        fold = min(self._folds, key=lambda fold: fold.most_of_a_kind)
        kind = "genuine" if fold.most_of_a_kind == fold.num_genuine else "impostor"
        problem = (
            f"{num_pairs} pairs in {num_folds} folds without a common identity need "
            f"{num_pairs // (2 * num_folds)} {kind} pairs in each, but one has images for only "
            f"{fold.most_of_a_kind} (of {fold.num_identities} identities)"
        )
        if self.most_pairs:
            return f"{problem}: {self.most_pairs} pairs would do"
        labels, _, *others = self._arguments
        for fewer in range(num_folds - 1, 1, -1):
            if most := DisjointFolds(labels, fewer, *others).most_pairs:
                return f"{problem}: {fewer} folds would do, with up to {most} pairs"
        return f"{problem}: that takes more identities that have such pairs, at least two a fold"


@dataclass(frozen=True)
class _Fold:
    """The images of one fold that may be in a pair, those of an identity together.

    Attributes:
        seed: of this fold's pairs.
        images: int64 [images], positions in all labels.
        identities: int [images], rising.
        first, second: bool [images]: may come first, and second.
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
        return int(self._genuine_of_each.sum())

    @cached_property
    def num_impostor(self) -> int:
        # All ordered pairs of two identities, less one of each two that are mirror images.
        first, second, both = (
            self._sizes_of(mask).astype(object)
            for mask in (self.first, self.second, self.first & self.second)
        )
        ordered = sum(first) * sum(second) - sum(first * second)
        return int(ordered - (sum(both) ** 2 - sum(both * both)) // 2)

    @property
    def most_of_a_kind(self) -> int:
        return min(self.num_genuine, self.num_impostor)

    @cached_property
    def _genuine_of_each(self) -> np.ndarray:
        return _num_genuine(self._own_numbers, self.first, self.second)

    @cached_property
    def _own_numbers(self) -> np.ndarray:
        """The identity of each image, counted from 0 in this fold."""
        return np.unique(self.identities, return_inverse=True)[1]

    def _sizes_of(self, mask: np.ndarray) -> np.ndarray:
        """Returns how many images of `mask` each identity has."""
        return np.bincount(self._own_numbers, mask).astype(np.int64)

    def genuine_pairs(self, count: int) -> np.ndarray:
        """Returns int64 [count, 2], shuffled."""
        quotas = even_quotas(self._genuine_of_each, count, seeding.fold(self.seed, 0))
        starts = np.searchsorted(self._own_numbers, np.arange(len(quotas) + 1))
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
            pairs.append(self._drawn(key, population, int(quotas[identity]), numbered))
        pairs = self.images[np.concatenate(pairs)]
        return pairs[seeding.permutation(seeding.fold(self.seed, 2), count)]

    def impostor_pairs(self, count: int) -> np.ndarray:
        """Returns int64 [count, 2], shuffled."""
        # Enough as a rule; what small folds lack is drawn alike from all pairs there are.
        pairs = self._random_impostors(seeding.fold(self.seed, 3), 8 * count)
        if len(pairs) < count:
            wanted = min(count + len(pairs), self.num_impostor)
            pairs = _without_repeats(np.concatenate([pairs, self._any_impostors(wanted)]))
        return self.images[pairs[:count]]

    def _random_impostors(self, key: int, tries: int) -> np.ndarray:
        """Draws first and second identity, and an image of each, alike; without repeats."""
        sides = []
        words = seeding.words(key, 4 * tries).reshape(2, 2, tries)
        for mask, (identity_words, image_words) in zip(
            (self.first, self.second), words, strict=True
        ):
            images = np.flatnonzero(mask)
            _, starts, sizes = np.unique(
                self._own_numbers[images], return_index=True, return_counts=True
            )
            identities = (identity_words % np.uint64(len(sizes))).astype(np.int64)
            places = (image_words % sizes[identities].astype(np.uint64)).astype(np.int64)
            sides.append(images[starts[identities] + places])
        pairs = np.stack(sides, axis=1)
        pairs = pairs[self._own_numbers[pairs[:, 0]] != self._own_numbers[pairs[:, 1]]]
        mirrored = ~self._is_told_once(pairs)
        pairs[mirrored] = pairs[mirrored, ::-1]
        return _without_repeats(pairs)

    def _any_impostors(self, count: int) -> np.ndarray:
        """Draws alike from all impostor pairs."""
        firsts, seconds = np.flatnonzero(self.first), np.flatnonzero(self.second)
        # Each first image goes with all second ones but those of its own identity.
        own = [
            np.searchsorted(self._own_numbers[seconds], self._own_numbers[firsts], side=side)
            for side in ("left", "right")
        ]
        before = np.concatenate([[0], np.cumsum(len(seconds) - (own[1] - own[0]))])

        def numbered(numbers: np.ndarray) -> np.ndarray:
            a = np.searchsorted(before, numbers, side="right") - 1
            b = numbers - before[a]
            b += np.where(b >= own[0][a], own[1][a] - own[0][a], 0)
            return np.stack([firsts[a], seconds[b]], axis=1)

        return self._drawn(seeding.fold(self.seed, 4), int(before[-1]), count, numbered)

    def _drawn(
        self, key: int, population: int, count: int, numbered: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Draws different pairs out of `population` numbered ones, of which at least `count` count.

        An image with itself is no pair, and of two that are mirror images one is left out.
        """
        tries = 2 * count
        while True:
            pairs = numbered(draw(key, population, min(tries, population)))
            pairs = pairs[(pairs[:, 0] != pairs[:, 1]) & self._is_told_once(pairs)]
            if len(pairs) >= count or tries >= population:
                return pairs[:count]
            tries *= 2

    def _is_told_once(self, pairs: np.ndarray) -> np.ndarray:
        """False for one of each two pairs of the same images, which both could come first."""
        both = (self.first & self.second)[pairs].all(axis=1)
        return ~both | (pairs[:, 0] <= pairs[:, 1])


def _without_repeats(pairs: np.ndarray) -> np.ndarray:
    """Leaves pairs out that came before."""
    first_seen = np.unique(pairs, axis=0, return_index=True)[1]
    return pairs[np.sort(first_seen)]


def _num_genuine(identities: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns how many different genuine pairs each identity makes, int64 [num_identities].

    Args:
        identities: int [images], each from 0 without gaps.
        first, second: bool [images]: may come first in a pair, and second.
    """
    num_first, num_second, num_both = (
        np.bincount(identities, mask).astype(np.int64) for mask in (first, second, first & second)
    )
    # An image with itself is none, and of two that are mirror images one counts.
    return num_first * num_second - num_both - num_both * (num_both - 1) // 2


def _deal(num_genuine: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    """Returns the fold of each identity; those of many pairs are dealt first, to and fro."""
    by_chance = seeding.permutation(seeding.fold(seed, 11), len(num_genuine))
    order = by_chance[np.argsort(-num_genuine[by_chance], kind="stable")]
    rounds, places = np.divmod(np.arange(len(order)), num_folds)
    fold_of = np.empty(len(order), np.int64)
    fold_of[order] = np.where(rounds % 2, num_folds - 1 - places, places)
    return fold_of


def interleave_by_label(is_genuine: np.ndarray) -> np.ndarray:
    """Returns an order in which genuine and impostor pairs are spread evenly: int64 [num_pairs].

    Each kind keeps its own order. As many of both come in turn, a genuine one first.
    """
    is_genuine = np.asarray(is_genuine, bool)
    rank, num_others = np.empty((2, len(is_genuine)), np.int64)
    for kind in (is_genuine, ~is_genuine):
        rank[kind] = np.arange(np.count_nonzero(kind))
        num_others[kind] = np.count_nonzero(~kind)
    # The middle of the r-th of n equal parts is (2 r + 1) / 2 n; compared without fractions.
    return np.lexsort([~is_genuine, (2 * rank + 1) * np.maximum(num_others, 1)])


def folds_have_both_labels(is_genuine: np.ndarray, num_folds: int) -> bool:
    """Whether each fold has genuine and impostor pairs when the pairs are cut as they stand."""
    return all(0 < np.count_nonzero(fold) < len(fold) for fold in cut(is_genuine, num_folds))


def cut(pairs: np.ndarray, num_folds: int) -> list[np.ndarray]:
    """Cuts what belongs to pairs into folds, in order; the first may have one pair more."""
    return np.array_split(pairs, num_folds)


def fold_indices(num_pairs: int, num_folds: int) -> np.ndarray:
    """Returns the fold of each pair when pairs are cut as they stand: int64 [num_pairs], from 0."""
    sizes = [len(fold) for fold in cut(np.arange(num_pairs), num_folds)]
    return np.repeat(np.arange(num_folds), sizes)


def order_by_fold(numbers: np.ndarray) -> np.ndarray | None:
    """Returns an order that puts pairs into their folds when it is cut; None where there's none.

    Folds come by their numbers, but those with one pair more first, as `cut` wants them. Folds
    whose sizes differ by more than one can't be cut so.

    Args:
        numbers: int [num_pairs], the fold of each pair; any numbers.
    """
    _, folds, sizes = np.unique(numbers, return_inverse=True, return_counts=True)
    if sizes.max() - sizes.min() > 1:
        return None
    return np.lexsort([folds, -sizes[folds]])
