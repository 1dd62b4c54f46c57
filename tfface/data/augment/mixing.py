"""Who is mixed with whom, and how much."""

import numpy as np
import tensorflow as tf

from tfface.data.augment.random import uniform

_NUM_QUANTILES = 4096


class BetaShares:
    """Draws shares from the distribution Beta(alpha, alpha), by a table of its quantiles.

    Args:
        alpha: above 0; 1 is uniform, less prefers shares near 0 and 1.
    """

    def __init__(self, alpha: float):
        wanted = tf.constant((np.arange(_NUM_QUANTILES) + 0.5) / _NUM_QUANTILES, tf.float64)
        alphas = tf.fill([_NUM_QUANTILES], tf.constant(alpha, tf.float64))
        low, high = tf.zeros_like(wanted), tf.ones_like(wanted)
        # The distribution function rises, so each halving adds a bit.
        for _ in range(40):
            middle = (low + high) / 2
            is_less = tf.math.betainc(alphas, alphas, middle) < wanted
            low, high = tf.where(is_less, middle, low), tf.where(is_less, high, middle)
        self._quantiles = ((low + high) / 2).numpy().astype(np.float32)

    def draw(self, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns float32 [count] in [0, 1]."""
        places = tf.cast(uniform([count], seed) * _NUM_QUANTILES, tf.int32)
        return tf.gather(tf.constant(self._quantiles), places)


def any_partner(count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Gives every image of a batch another one (itself only if it is alone): int32 [count].

    Each image is the partner of exactly one.
    """
    ranks = _ranks(uniform([count], seed))
    return _find(ranks, (ranks + 1) % count)


def partner_of_same_identity(labels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """As `any_partner`, among the images of the same label.

    Args:
        labels: int32 [batch].
    Returns: int32 [batch]; images that are the only one of their label get themselves.
    """
    ranks = _ranks(labels, uniform([tf.size(labels)], seed))
    # The ranks of each label are consecutive.
    begins = tf.reduce_sum(tf.cast(labels < labels[:, None], tf.int32), axis=1)
    ends = tf.reduce_sum(tf.cast(labels <= labels[:, None], tf.int32), axis=1)
    return _find(ranks, tf.where(ranks + 1 < ends, ranks + 1, begins))


def _ranks(*keys: tf.Tensor) -> tf.Tensor:
    """Returns the place of each when they are sorted by the keys in turn: int32 [count].

    By comparing all with all: the compiler needs seconds to make a sort, and this takes no time.
    """
    places = tf.range(tf.size(keys[0]))
    before = tf.zeros([1, 1], bool)
    equal = tf.ones([1, 1], bool)
    for key in (*keys, places):
        before |= equal & (key < key[:, None])
        equal &= key == key[:, None]
    return tf.reduce_sum(tf.cast(before, tf.int32), axis=1)


def _find(ranks: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Returns where each rank that is wanted stands in `ranks`: int32 [count]."""
    is_there = tf.cast(ranks == wanted[:, None], tf.int32)
    return tf.reduce_sum(is_there * tf.range(tf.size(ranks)), axis=1)
