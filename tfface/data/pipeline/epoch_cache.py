"""The batches of an epoch, kept to be given again."""

from functools import cached_property

import numpy as np
import tensorflow as tf

from tfface.autotune import untuned


class Replay:
    """Batches that were given once, in their order.

    Args:
        shape: of the features of all batches: (num_steps, batch_size, ...); float32.
    """

    def __init__(self, shape: tuple[int, ...]):
        self._features = np.empty(shape, np.float32)
        self._labels: list = []

    def add(self, features: np.ndarray, labels) -> None:
        """Appends a batch; labels are an array [batch_size] or a dict of such arrays."""
        self._features[len(self._labels)] = features
        self._labels.append(labels)

    def epoch(self, first_step: int = 0) -> tf.data.Dataset:
        """Returns the batches from number `first_step` on: (features, labels)."""
        return self._batches.skip(first_step) if first_step else self._batches

    @cached_property
    def _batches(self) -> tf.data.Dataset:
        """All of them; made once, because making it takes as long as ten small steps."""
        features = self._features

        def fetch(step: tf.Tensor, labels):
            # Not as a tensor of the dataset, which would be a copy of all.
            batch = tf.numpy_function(lambda step: features[step], [step], tf.float32)
            return tf.ensure_shape(batch, features.shape[1:]), labels

        labels = tf.nest.map_structure(lambda *batches: np.stack(batches), *self._labels)
        return untuned(
            tf.data.Dataset.from_tensor_slices((np.arange(len(features)), labels))
            .map(fetch, tf.data.AUTOTUNE, deterministic=True)
            .prefetch(2)
        )
