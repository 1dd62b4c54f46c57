"""Batches of some identities with some images of each: what losses on pairs of images need."""

import numpy as np

from tfface import seeding

_ROUNDS, _IMAGES = 0, 1


def draw_identity_batches(
    labels: np.ndarray, num_identities: int, images_per_identity: int, num_batches: int, key: int
) -> np.ndarray:
    """Draws which images make the batches of an epoch.

    The identities come in rounds. In a round, each stands at most once: they are put in a random
    order that is cut into batches, and those who would make a smaller last batch wait for the next
    round. So no identity stands in a batch twice, and all have the same chance, however many
    images they have.

    The images of an identity are put in a random order for the epoch, and each time it stands in a
    batch it gives the next `images_per_identity` of them, beginning again after the last: no image
    comes twice before all have come, and an identity with fewer images repeats them.

    Args:
        labels: int [num_images].
        num_identities: in a batch; no more than there are different labels.
        images_per_identity: > 0.
        num_batches: of the epoch.
        key: whole number in [0, 2**64) that decides all of it; an epoch of more batches begins
            with those of a shorter one.
    Returns: int64 [num_batches * num_identities * images_per_identity], places in `labels`; the
        images of an identity stand together.
    """
    _, labels, counts = np.unique(labels, return_inverse=True, return_counts=True)
    drawn = _draw_identities(len(counts), num_identities, num_batches, key)
    # By identity, and in a random order within it.
    order = np.lexsort((seeding.words(seeding.fold(key, _IMAGES), len(labels)), labels))
    starts = np.cumsum(counts) - counts
    given = _times_before(drawn)[:, None] * images_per_identity + np.arange(images_per_identity)
    return order[starts[drawn][:, None] + given % counts[drawn][:, None]].ravel()


def _draw_identities(num_there: int, num_identities: int, num_batches: int, key: int) -> np.ndarray:
    """Returns the identities of all batches: int64 [num_batches * num_identities]."""
    batches_a_round = num_there // num_identities
    rounds = [
        seeding.permutation(seeding.fold(key, _ROUNDS, number), num_there)[
            : batches_a_round * num_identities
        ]
        for number in range(-(-num_batches // batches_a_round))
    ]
    return np.concatenate(rounds)[: num_batches * num_identities]


def _times_before(values: np.ndarray) -> np.ndarray:
    """Returns how often each value has come before: [1, 2, 1, 1] -> [0, 0, 1, 2]."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    begins = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[begins, len(values)])
    times = np.empty(len(values), np.int64)
    times[order] = np.arange(len(values)) - np.repeat(begins, lengths)
    return times
