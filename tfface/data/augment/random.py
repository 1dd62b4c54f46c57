"""Random numbers of augmentations, and the types and limits of their options.

Everything is drawn statelessly: a seed decides the numbers, whatever was drawn before. Eager code
and code that XLA compiles draw the same numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import tensorflow as tf
from pydantic import Field

from tfface.data.pipeline.epoch_order import FULL_BATCH, BatchShard
from tfface.errors import InputError

Probability = Annotated[float, Field(ge=0, le=1)]
# [low, high].
Range = Annotated[list[float], Field(min_length=2, max_length=2)]
# A number x (a range that is symmetric about "no change"), or the range itself.
Amount = Annotated[float, Field(ge=0)] | Range

# Which rows of a batch are being augmented.
_shard = FULL_BATCH

# 2**32 divided by the golden ratio, as int32: spreads consecutive numbers over all words.
_GOLDEN = -1640531527


def checked_range(what: str, given: list[float], *, low: float, high: float) -> tuple[float, float]:
    """Checks that a range ascends within its limits.

    Args:
        what: Augmentation and option, for the error message.
        given: [low, high].
        low: The lowest value allowed.
        high: The highest value allowed.

    Returns:
        The range, as a tuple of floats.

    Raises:
        InputError: The range descends or exceeds its limits.

    Example:
        >>> checked_range("random_erasing: area", [0.1, 0.3], low=0, high=1)
        (0.1, 0.3)
    """
    if not low <= given[0] <= given[1] <= high:
        raise InputError(f"{what} {list(given)} must ascend within [{low:g}, {high:g}]")
    return float(given[0]), float(given[1])


def range_of_amount(
    what: str, amount: float | list[float], *, neutral: float, low: float, high: float
) -> tuple[float, float]:
    """Turns an amount into its range about `neutral`, and checks the range.

    Args:
        what: Augmentation and option, for the error message.
        amount: x, which stands for [neutral - x, neutral + x]; or a range [low, high].
        neutral: The value that changes nothing.
        low: The lowest value allowed.
        high: The highest value allowed.

    Returns:
        (low, high).

    Raises:
        InputError: The range descends or exceeds its limits.

    Example:
        >>> range_of_amount("color_jitter: contrast", 0.25, neutral=1.0, low=0.0, high=2.0)
        (0.75, 1.25)
    """
    if isinstance(amount, list | tuple):
        chosen = (float(amount[0]), float(amount[1]))
    else:
        chosen = (neutral - amount, neutral + amount)
    if not low <= chosen[0] <= chosen[1] <= high:
        raise InputError(
            f"{what} {amount!r} gives the range [{chosen[0]:g}, {chosen[1]:g}], "
            f"which must ascend within [{low:g}, {high:g}]"
        )
    return chosen


@contextmanager
def for_batch_shard(shard: BatchShard) -> Iterator[None]:
    """Draws, within the block, the numbers that the shard's images get in the whole batch.

    Code that TensorFlow compiles must be traced within the block.
    """
    global _shard
    before, _shard = _shard, shard
    try:
        yield
    finally:
        _shard = before


def uniform(shape, seed: tf.Tensor) -> tf.Tensor:
    """Draws float32 numbers in [0, 1), multiples of 2**-24.

    They are made from random words, because `stateless_uniform` draws other floats (but the same
    words) in code that XLA compiles than it does eagerly.

    Args:
        shape: Integers, except for the batch size, which is a tensor: that is how the batch axis is
            recognized.
        seed: int32 [2].

    Returns:
        float32 of that shape.

    Example:
        >>> images = tf.zeros([4, 8, 8, 3])
        >>> uniform([tf.shape(images)[0], 1], tf.constant([1, 2])).shape
        TensorShape([4, 1])
    """
    return tf.cast(tf.bitwise.right_shift(_words(shape, seed, tf.uint32), 8), tf.float32) / 2**24


def uniform_between(low: float, high: float, draws: tf.Tensor) -> tf.Tensor:
    """Scales draws from [0, 1) to [low, high).

    Args:
        low, high: the range.
        draws: float32 in [0, 1), of any shape.
    """
    return low + (high - low) * draws


def next_seed(seed: tf.Tensor) -> tf.Tensor:
    """Derives an independent seed.

    Applied twice it returns the seed that it was given: for a third seed, add 1 to the second.

    Args:
        seed: int32 [2].
    """
    return tf.bitwise.bitwise_xor(seed, tf.constant([0x3C6EF372, 0x5A827999]))


def seeds_of_images(count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws a seed for each image of a batch: int32 [count, 2].

    Args:
        count: number of images.
        seed: int32 [2], of the batch.
    """
    return _words([count, 2], seed, tf.int32)


def words_of_values(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws a random word for each value of each pixel.

    A word is a hash of the value's index and of a key per image: the compiler vectorizes a hash,
    but not a generator.

    Args:
        shape: int32 [4], of the images.
        seed: int32 [2].

    Returns:
        uint32 [batch, values of an image].
    """
    keys = _words([shape[0], 1], seed, tf.int32)
    return _hashed(keys + tf.range(shape[1] * shape[2] * shape[3]) * _GOLDEN)


def noise_values(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws images float32 of `shape`, each value uniform among 0, 1, ..., 255.

    Args:
        shape: int32 [4], of the images.
        seed: int32 [2].
    """
    words = tf.bitwise.right_shift(words_of_values(shape, seed), 24)
    return tf.reshape(tf.cast(words, tf.float32), shape)


def _words(shape, seed: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Draws random words; in `for_batch_shard`, the shard's part of the whole batch's words."""
    if _shard.count == 1:
        return tf.random.stateless_uniform(shape, seed, None, None, dtype, alg="philox")
    [axis] = [axis for axis, size in enumerate(shape) if tf.is_tensor(size)]
    num_images = shape[axis]
    whole = [*shape[:axis], num_images * _shard.count, *shape[axis + 1 :]]
    words = tf.random.stateless_uniform(whole, seed, None, None, dtype, alg="philox")
    return tf.gather(words, _shard.index * num_images + tf.range(num_images), axis=axis)


def _hashed(numbers: tf.Tensor) -> tf.Tensor:
    """Scrambles int32 words into uint32 words (C. Wellons, "Prospecting for hash functions")."""
    words = tf.bitcast(numbers, tf.uint32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        words = tf.bitwise.bitwise_xor(words, tf.bitwise.right_shift(words, shift))
        words = words * tf.constant(factor, tf.uint32)
    return tf.bitwise.bitwise_xor(words, tf.bitwise.right_shift(words, 16))
