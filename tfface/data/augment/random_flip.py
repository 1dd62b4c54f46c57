"""Mirrored faces."""

from typing import Annotated

import tensorflow as tf
from pydantic import Field


class RandomFlip:
    """Mirrors each image left to right with a probability.

    Args:
        probability: in [0, 1].
    """

    def __init__(self, probability: Annotated[float, Field(ge=0, le=1)] = 0.5):
        self._probability = probability

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        draws = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed, alg="philox")
        return tf.where(draws < self._probability, images[:, :, ::-1], images)
