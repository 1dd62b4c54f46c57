"""What sources share; the package's docstring lists all that a source has."""

import numpy as np
import tensorflow as tf

from tfface.data import seeding
from tfface.data.dataset_folder import Identity


class ImageSource:
    """Base of all sources; `identities` and `labels` are the subclass's."""

    identities: list[Identity]
    labels: np.ndarray

    @property
    def num_images(self) -> int:
        return len(self.labels)

    @property
    def num_identities(self) -> int:
        return len(self.identities)


def ordered_indices(
    indices: np.ndarray, shuffle_seed: int | None = None, first: int = 0
) -> tf.data.Dataset:
    """The order of `encoded` for a source that can read any image at once.

    Returns: tf.data of int64 []: `indices`, in a seeded order unless `shuffle_seed` is None, but
        the first `first` of it.
    """
    order = np.asarray(indices, np.int64)
    if shuffle_seed is not None:
        order = order[seeding.permutation(shuffle_seed, len(order))]
    return tf.data.Dataset.from_tensor_slices(order[first:])
