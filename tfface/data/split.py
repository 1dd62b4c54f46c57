"""Splitting images into training and validation; the same seed gives the same split everywhere."""

import numpy as np

from tfface.data import seeding
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
    most = np.maximum(counts - 1, 0)
    num_validation = np.minimum(np.floor(quotas).astype(np.int64), most)

    missing = round(float(quotas.sum())) - int(num_validation.sum())
    order = np.lexsort((seeding.words(seeding.fold(seed, 0), len(counts)), num_validation - quotas))
    order = order[num_validation[order] < most[order]]
    num_validation[order[: max(missing, 0)]] += 1
    if not num_validation.any():
        raise InputError(
            f"a validation fraction of {fraction:g} of {len(labels)} images of {len(counts)} "
            "identities leaves validation empty (an identity keeps at least one image in "
            "training): use a larger fraction, or split by identity"
        )

    # Sorted by identity and, within it, by random words: each identity's first images are taken.
    by_identity = np.lexsort((seeding.words(seeding.fold(seed, 1), len(labels)), groups))
    starts = np.cumsum(counts) - counts
    rank = np.arange(len(labels)) - starts[groups[by_identity]]
    in_validation = np.zeros(len(labels), bool)
    in_validation[by_identity] = rank < num_validation[groups[by_identity]]
    return np.flatnonzero(~in_validation), np.flatnonzero(in_validation)


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
