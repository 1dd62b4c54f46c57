"""Sensor noise."""

from typing import Annotated

import tensorflow as tf
from pydantic import Field

# Of the count of 16 random bits (16 / 4) and of a uniform number on [0, 1) (1 / 12).
_VARIANCE = 16 / 4 + 1 / 12
_MEAN = 16 / 2 + 1 / 2


class GaussianNoise:
    """Adds independent noise to every value of every pixel, and clips to 0..255.

    The noise is close to normal: the number of ones among 16 random bits plus a uniform number made
    of 16 others, scaled. Mean 0, the given standard deviation, kurtosis -0.12, never beyond 4.2
    standard deviations; at 112 pixels and 5 of 255 nobody tells it from normal noise after the
    rounding, and it costs a seventh (the bits come from a hash of the pixel's number and a key per
    image, which the compiler vectorises; it can't do that to a generator of normal numbers).

    Args:
        stddev: in units of 0..255.
    """

    def __init__(self, stddev: Annotated[float, Field(ge=0, le=255)]):
        self._stddev = stddev

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(images)
        keys = tf.random.stateless_uniform([shape[0], 1], seed, None, None, tf.int32, alg="philox")
        bits = _hashed(keys + tf.range(shape[1] * shape[2] * shape[3]) * _GOLDEN)
        ones = tf.raw_ops.PopulationCount(x=tf.bitwise.bitwise_and(bits, 0xFFFF))
        uniform = tf.cast(tf.bitwise.right_shift(bits, 16), tf.float32) / 2**16
        noise = (tf.cast(ones, tf.float32) + uniform - _MEAN) * (self._stddev / _VARIANCE**0.5)
        return tf.clip_by_value(images + tf.reshape(noise, shape), 0.0, 255.0)


# 2**32 divided by the golden ratio, as int32: spreads consecutive numbers over all words.
_GOLDEN = -1640531527


def _hashed(numbers: tf.Tensor) -> tf.Tensor:
    """Scrambles int32 words into uint32 words (C. Wellons, "Prospecting for hash functions")."""
    words = tf.bitcast(numbers, tf.uint32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        words = tf.bitwise.bitwise_xor(words, tf.bitwise.right_shift(words, shift))
        words = words * tf.constant(factor, tf.uint32)
    return tf.bitwise.bitwise_xor(words, tf.bitwise.right_shift(words, 16))
