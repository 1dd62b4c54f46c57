"""The random numbers of augmentations."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from tfface.data.pipeline.batch_sharding import WHOLE, BatchPart

# Of which part of a batch the images are that are being augmented.
_part = WHOLE

# 2**32 divided by the golden ratio, as int32: spreads consecutive numbers over all words.
_GOLDEN = -1640531527


@contextmanager
def for_part(part: BatchPart) -> Iterator[None]:
    """Within the block, images get the draws that they would get in the whole batch.

    Code that TensorFlow compiles is built within the block.
    """
    global _part
    before, _part = _part, part
    try:
        yield
    finally:
        _part = before


def uniform(shape, seed: tf.Tensor) -> tf.Tensor:
    """Returns float32 numbers on [0, 1), multiples of 2**-24.

    Made from random words, because `stateless_uniform` draws other floats (but the same words) in
    code that XLA compiles than it does eagerly.

    Args:
        shape: ints, but for the number of images, which is a tensor: by that it is found where an
            image's own numbers are.
    """
    return tf.cast(tf.bitwise.right_shift(_words(shape, seed, tf.uint32), 8), tf.float32) / 2**24


def between(low: float, high: float, draws: tf.Tensor) -> tf.Tensor:
    """Brings draws on [0, 1) to [low, high)."""
    return low + (high - low) * draws


def another(seed: tf.Tensor) -> tf.Tensor:
    """Returns a seed whose numbers have nothing to do with those of `seed`.

    Called twice it gives `seed` back: for a third seed, use `another(seed) + 1`.
    """
    return tf.bitwise.bitwise_xor(seed, tf.constant([0x3C6EF372, 0x5A827999]))


def words_of_values(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns a random word for each value of each pixel.

    They come from a hash of the value's number and a key per image, which the compiler vectorises;
    it can't do that to a generator.

    Args:
        shape: int32 [4], of the images.
    Returns: uint32 [batch, values of an image].
    """
    keys = _words([shape[0], 1], seed, tf.int32)
    return _hashed(keys + tf.range(shape[1] * shape[2] * shape[3]) * _GOLDEN)


def noise_values(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns images float32 of `shape`, each value uniform among 0, 1, ..., 255."""
    words = tf.bitwise.right_shift(words_of_values(shape, seed), 24)
    return tf.reshape(tf.cast(words, tf.float32), shape)


def _words(shape, seed: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Returns random words; in `for_part` those of the whole batch, and of these the part's."""
    if _part.count == 1:
        return tf.random.stateless_uniform(shape, seed, None, None, dtype, alg="philox")
    [axis] = [axis for axis, size in enumerate(shape) if tf.is_tensor(size)]
    num_images = shape[axis]
    whole = [*shape[:axis], num_images * _part.count, *shape[axis + 1 :]]
    words = tf.random.stateless_uniform(whole, seed, None, None, dtype, alg="philox")
    return tf.gather(words, _part.index * num_images + tf.range(num_images), axis=axis)


def _hashed(numbers: tf.Tensor) -> tf.Tensor:
    """Scrambles int32 words into uint32 words (C. Wellons, "Prospecting for hash functions")."""
    words = tf.bitcast(numbers, tf.uint32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        words = tf.bitwise.bitwise_xor(words, tf.bitwise.right_shift(words, shift))
        words = words * tf.constant(factor, tf.uint32)
    return tf.bitwise.bitwise_xor(words, tf.bitwise.right_shift(words, 16))
