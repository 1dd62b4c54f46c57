"""Splitting images into parts; the same seed gives the same split everywhere."""

from collections.abc import Sequence

import numpy as np

from tfface import seeding
from tfface.errors import InputError


def split_by_image(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits so that every identity keeps its share of images on both sides.

    An identity with n >= 2 images gives floor(n * fraction) or one more of them to validation, and
    keeps at least one; who gives one more is decided by the largest remainders (ties by the seed),
    so that validation as a whole holds round(fraction * images). An identity with a single image
    stays in training and does not count in that.

    Args:
        labels: int [num_images].
        fraction: share of the images for validation, in (0, 1).
        seed: int >= 0.
    Returns: (training indices, validation indices), int64, each ascending, together all images.
    Raises InputError: fraction out of range, or validation would be empty.
    """
    labels = np.asarray(labels)
    _check_fraction(fraction)
    _, groups, counts = np.unique(labels, return_inverse=True, return_counts=True)
    quotas = np.where(counts >= 2, counts * fraction, 0.0)
    num_validation = _apportion(quotas, np.maximum(counts - 1, 0), seeding.fold(seed, 0))
    if not num_validation.any():
        raise InputError(
            f"a validation fraction of {fraction:g} of {len(labels)} images of {len(counts)} "
            "identities leaves validation empty (an identity keeps at least one image in "
            "training): use a larger fraction, or split by identity"
        )

    in_validation = _ranks(groups, counts, seed) < num_validation[groups]
    return np.flatnonzero(~in_validation), np.flatnonzero(in_validation)


def split_into_parts(
    labels: np.ndarray, fractions: Sequence[float], seed: int, num_first: int | None = None
) -> list[np.ndarray]:
    """Splits so that every identity has its share of images in each of several parts.

    The first part is what `split_by_image` leaves for training: an identity keeps at least one
    image there, and one with a single image has it there. The others share what is left in the
    same way, but need not have an image of everybody.

    Args:
        labels: int [num_images].
        fractions: of each part, above 0, two at least; only their ratios matter. With `num_first`,
            those of the parts after the first, one at least.
        seed: int >= 0; the first part of a seed is the same however the rest is shared.
        num_first: in place of a fraction, so many images of each identity are in the first part:
            the others only have images of identities with more.
    Returns: of each part the indices, int64, ascending; together all images. Some may be empty.
    """
    labels = np.asarray(labels)
    _, groups, counts = np.unique(labels, return_inverse=True, return_counts=True)
    fractions = list(fractions)
    most = np.maximum(counts - 1, 0)
    if num_first is None:
        rest, whole = sum(fractions[1:]), sum(fractions)
        # Rounded, as 3 * 0.1 / 0.3 is a little less than 1.
        quotas = np.where(counts >= 2, np.round(counts * rest / whole, 9), 0.0)
        left = _apportion(quotas, most, seeding.fold(seed, 0))
        fractions = fractions[1:]
    else:
        left = np.maximum(counts - num_first, 0)

    # A part has the images of each identity from rank `left` on that the parts before left.
    ranks = _ranks(groups, counts, seed)
    parts, high = [], counts
    for place in range(len(fractions)):
        parts.append(np.flatnonzero((ranks >= left[groups]) & (ranks < high[groups])))
        high = left
        rest, whole = sum(fractions[place + 1 :]), sum(fractions[place:])
        left = _apportion(np.round(left * rest / whole, 9), left, seeding.fold(seed, 2 + place))
    parts.append(np.flatnonzero(ranks < high[groups]))
    return parts


def most_of_each(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Returns at most `count` images of each identity, drawn by the seed: int64, ascending.

    A larger `count` takes what a smaller one takes and more.

    Args:
        labels: int [num_images], the identity of each.
        count: >= 1.
        seed: which images they are.
    """
    _, groups, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.flatnonzero(_ranks(groups, counts, seed) < count)


def _apportion(quotas: np.ndarray, most: np.ndarray, key: int) -> np.ndarray:
    """Rounds the share of each identity down or up, so that all have round(sum of quotas).

    Args:
        quotas: float [identities].
        most: int64 [identities], what each may have at most.
        key: decides between equal remainders.
    Returns: int64 [identities].
    """
    given = np.minimum(np.floor(quotas).astype(np.int64), most)
    missing = round(float(quotas.sum())) - int(given.sum())
    order = np.lexsort((seeding.words(key, len(quotas)), given - quotas))
    order = order[given[order] < most[order]]
    given[order[: max(missing, 0)]] += 1
    return given


def _ranks(groups: np.ndarray, counts: np.ndarray, seed: int) -> np.ndarray:
    """Returns the place of each image in a random order of its identity's: int64 [num_images]."""
    by_identity = np.lexsort((seeding.words(seeding.fold(seed, 1), len(groups)), groups))
    starts = np.cumsum(counts) - counts
    ranks = np.empty(len(groups), np.int64)
    ranks[by_identity] = np.arange(len(groups)) - starts[groups[by_identity]]
    return ranks


def split_by_identity(
    labels: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Splits so that no identity has images on both sides.

    round(fraction * identities) of them go to validation, at least one, and all but one at most.

    Args and Returns: as `split_by_image`, but `fraction` is a share of the identities.
    Raises InputError: fraction out of range, or there is only one identity.
    """
    labels = np.asarray(labels)
    _check_fraction(fraction)
    identities, groups = np.unique(labels, return_inverse=True)
    if len(identities) < 2:
        raise InputError(
            f"a split by identity needs at least 2 identities, and there are {len(identities)}: "
            "split by image instead"
        )
    num_validation = min(max(round(fraction * len(identities)), 1), len(identities) - 1)
    chosen = np.zeros(len(identities), bool)
    chosen[seeding.permutation(seeding.fold(seed), len(identities))[:num_validation]] = True
    return np.flatnonzero(~chosen[groups]), np.flatnonzero(chosen[groups])


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise InputError(
            f"a validation fraction is between 0 and 1 (both excluded), got {fraction:g}"
        )
