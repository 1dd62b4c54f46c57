"""The random numbers of augmentations."""

import tensorflow as tf


def uniform(shape, seed: tf.Tensor) -> tf.Tensor:
    """Returns float32 numbers on [0, 1), multiples of 2**-24.

    Made from random words, because `stateless_uniform` draws other floats (but the same words) in
    code that XLA compiles than it does eagerly.
    """
    words = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg="philox")
    return tf.cast(tf.bitwise.right_shift(words, 8), tf.float32) / 2**24
