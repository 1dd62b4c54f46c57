"""Mirrored faces."""

import tensorflow as tf

from tfface.data.augment.options import Probability
from tfface.data.augment.random import uniform


class RandomFlip:
    """Mirrors each image left to right with a probability.

    Args:
        probability: in [0, 1].
    """

    takes_uint8 = True

    def __init__(self, probability: Probability = 0.5):
        self._probability = probability

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        draws = uniform([tf.shape(images)[0], 1, 1, 1], seed)
        return tf.where(draws < self._probability, images[:, :, ::-1], images)
