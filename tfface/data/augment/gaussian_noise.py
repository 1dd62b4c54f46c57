"""Sensor noise."""

from typing import Annotated

import tensorflow as tf
from pydantic import Field

from tfface.data.augment.random import words_of_values

# Of the count of 16 random bits (16 / 4) and of a uniform number on [0, 1) (1 / 12).
_VARIANCE = 16 / 4 + 1 / 12
_MEAN = 16 / 2 + 1 / 2


class GaussianNoise:
    """Adds independent noise to every value of every pixel, and clips to 0..255.

    The noise is close to normal: the number of ones among 16 random bits plus a uniform number made
    of 16 others, scaled. Mean 0, the given standard deviation, kurtosis -0.12, never beyond 4.2
    standard deviations; at 112 pixels and 5 of 255 nobody tells it from normal noise after the
    rounding, and it costs a seventh.

    Args:
        stddev: in units of 0..255.
    """

    def __init__(self, stddev: Annotated[float, Field(ge=0, le=255)]):
        self._stddev = stddev

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(images)
        bits = words_of_values(shape, seed)
        ones = tf.raw_ops.PopulationCount(x=tf.bitwise.bitwise_and(bits, 0xFFFF))
        uniform = tf.cast(tf.bitwise.right_shift(bits, 16), tf.float32) / 2**16
        noise = (tf.cast(ones, tf.float32) + uniform - _MEAN) * (self._stddev / _VARIANCE**0.5)
        return tf.clip_by_value(images + tf.reshape(noise, shape), 0.0, 255.0)
