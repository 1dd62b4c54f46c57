"""Black-and-white photos."""

import tensorflow as tf

from tfface.data.augment.options import Probability
from tfface.data.augment.random import uniform


class RandomGrayscale:
    """Replaces the colours of each image by their luma (ITU-R 601) with a probability.

    Args:
        probability: in [0, 1].
    """

    def __init__(self, probability: Probability = 0.1):
        self._probability = probability

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        chosen = uniform([tf.shape(images)[0], 1, 1, 1], seed) < self._probability
        luma = tf.reduce_sum(images * [0.299, 0.587, 0.114], axis=-1, keepdims=True)
        return tf.where(chosen, luma, images)
