"""Mixing of two images of a batch: MixUp, CutMix, and CutMix within an identity."""

from typing import Annotated

import numpy as np
import tensorflow as tf
from pydantic import Field

from tfface.data.augment.occlusion import Rectangles
from tfface.data.augment.random import Probability, next_seed, uniform

Alpha = Annotated[float, Field(ge=0.01, le=100)]

_NUM_QUANTILES = 4096


class MixUp:
    """Mixes each image with another one of the batch, pixel by pixel.

        image = share * image + (1 - share) * other,     share from Beta(alpha, alpha)

    `keras.layers.MixUp` does the same to one-hot labels, which cost too much with many identities,
    and draws other numbers in compiled code than outside of it.

    Args:
        alpha: Float in [0.01, 100]; 0.2 mixes few images strongly, 1 draws all shares with equal
            probability.
        probability: Of an image to be mixed at all, in [0, 1].

    Reference: Zhang et al., ICLR 2018, arXiv:1710.09412.

    Example:
        >>> mixup = MixUp(alpha=1.0)
        >>> images, labels = mixup(tf.zeros([4, 8, 8, 3]), tf.range(4), tf.constant([1, 2]))
        >>> sorted(labels)
        ['identities', 'others', 'shares']
    """

    mixes_identities = True

    def __init__(self, alpha: Alpha = 0.2, probability: Probability = 1.0):
        self._shares = BetaShares(alpha)
        self._probability = probability

    def __call__(
        self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        count = tf.shape(images)[0]
        partners = any_partner(count, seed)
        other = next_seed(seed)
        chosen = uniform([count], other + 1) < self._probability
        shares = tf.where(chosen, self._shares.draw(count, other), 1.0)
        weights = shares[:, None, None, None]
        # The first term keeps an image with a share of 1 exactly as it was.
        images = images + (1 - weights) * (tf.gather(images, partners) - images)
        return images, {
            "identities": labels,
            "others": tf.gather(labels, partners),
            "shares": shares,
        }


class CutMix:
    """Replaces a rectangle of each image by that of another image of the batch.

    The rectangle has the image's aspect and a share of its area that is drawn from
    Beta(alpha, alpha); its center is anywhere, and it is clipped at the border. The label's share
    is the area that is left of the image.

    `keras.layers.CutMix` does the same to one-hot labels, which cost too much with many identities,
    and draws other numbers in compiled code than outside of it.

    Args:
        alpha: Float in [0.01, 100]; 1 draws all areas with equal probability.
        probability: Of an image to be mixed at all, in [0, 1].

    Reference: Yun et al., ICCV 2019, arXiv:1905.04899.

    Example:
        >>> cutmix = CutMix()
        >>> images, labels = cutmix(tf.zeros([4, 8, 8, 3]), tf.range(4), tf.constant([1, 2]))
        >>> labels["identities"].numpy().tolist()
        [0, 1, 2, 3]
    """

    mixes_identities = True

    def __init__(self, alpha: Alpha = 1.0, probability: Probability = 1.0):
        self._patches = Patches(alpha, probability)

    def __call__(
        self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        partners = any_partner(tf.shape(images)[0], seed)
        mask = self._patches.mask(tf.shape(images), next_seed(seed))
        return tf.where(mask, tf.gather(images, partners), images), {
            "identities": labels,
            "others": tf.gather(labels, partners),
            "shares": 1 - tf.reduce_mean(tf.cast(mask, tf.float32), axis=(1, 2, 3)),
        }


class OneClassCutMix:
    """Replaces a rectangle of each image by that of another image of the same identity.

    Labels do not change. Neither do images whose identity has no other image in the batch: use
    `data.samples_per_identity` to make sure that it has. The rectangles are those of `cutmix`.

    Args:
        alpha: Float in [0.01, 100]; 1 draws all areas with equal probability.
        probability: Of an image to get a patch, in [0, 1].

    Example:
        >>> cutmix = OneClassCutMix(probability=1.0)
        >>> labels = tf.constant([0, 0, 1, 1])
        >>> cutmix(tf.zeros([4, 8, 8, 3]), labels, tf.constant([1, 2])).shape
        TensorShape([4, 8, 8, 3])
    """

    uses_labels = True

    def __init__(self, alpha: Alpha = 1.0, probability: Probability = 0.5):
        self._patches = Patches(alpha, probability)

    def __call__(self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        partners = partner_of_same_identity(labels, seed)
        mask = self._patches.mask(tf.shape(images), next_seed(seed))
        return tf.where(mask, tf.gather(images, partners), images)


class BetaShares:
    """Draws shares from the distribution Beta(alpha, alpha), by a table of its quantiles.

    Args:
        alpha: Above 0; 1 is uniform, less prefers shares near 0 and 1.

    Example:
        >>> shares = BetaShares(1.0).draw(tf.constant(1000), tf.constant([1, 2])).numpy()
        >>> shares.shape, bool(0 <= shares.min() < 0.1 and 0.9 < shares.max() <= 1)
        ((1000,), True)
    """

    def __init__(self, alpha: float):
        wanted = tf.constant((np.arange(_NUM_QUANTILES) + 0.5) / _NUM_QUANTILES, tf.float64)
        alphas = tf.fill([_NUM_QUANTILES], tf.constant(alpha, tf.float64))
        low, high = tf.zeros_like(wanted), tf.ones_like(wanted)
        # The distribution function increases, so each halving adds a bit.
        for _ in range(40):
            middle = (low + high) / 2
            is_less = tf.math.betainc(alphas, alphas, middle) < wanted
            low, high = tf.where(is_less, middle, low), tf.where(is_less, high, middle)
        self._quantiles = ((low + high) / 2).numpy().astype(np.float32)

    def draw(self, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns float32 [count] in [0, 1]."""
        positions = tf.cast(uniform([count], seed) * _NUM_QUANTILES, tf.int32)
        return tf.gather(tf.constant(self._quantiles), positions)


class Patches:
    """Draws the rectangles of CutMix.

    Args:
        alpha, probability: Those of CutMix.

    Example:
        >>> patches = Patches(alpha=1.0, probability=1.0)
        >>> mask = patches.mask(tf.constant([4, 8, 8, 3]), tf.constant([1, 2]))
        >>> mask.shape, mask.dtype
        (TensorShape([4, 8, 8, 1]), tf.bool)
    """

    def __init__(self, alpha: float, probability: float):
        self._areas = BetaShares(alpha)
        self._probability = probability

    def mask(self, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Marks the pixels to replace: bool [batch, height, width, 1].

        Args:
            shape: int32 [4], of the images.
            seed: int32 [2].
        """
        # `next_seed` twice would be the first seed again, by which the partners are drawn.
        draws = uniform([3, shape[0]], next_seed(seed) + 1)
        chosen = draws[0] < self._probability
        sides = tf.sqrt(tf.where(chosen, self._areas.draw(shape[0], seed), 0.0))
        tops, heights = _extent(shape[1], sides, draws[1])
        lefts, widths = _extent(shape[2], sides, draws[2])
        return Rectangles(tops, lefts, heights, widths).mask(shape[1], shape[2])


def _extent(size: tf.Tensor, sides: tf.Tensor, centers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns start and length of a share of a side about a center, clipped to the image."""
    full = tf.cast(size, tf.float32)
    length = tf.round(sides * full)
    start = tf.floor(centers * full) - tf.floor(length / 2)
    end = tf.minimum(start + length, full)
    start = tf.maximum(start, 0.0)
    return tf.cast(start, tf.int32), tf.cast(end - start, tf.int32)


def any_partner(count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Gives every image of a batch another one (itself only if it is alone): int32 [count].

    Each image is the partner of exactly one.

    Example:
        >>> sorted(any_partner(tf.constant(5), tf.constant([1, 2])).numpy().tolist())
        [0, 1, 2, 3, 4]
    """
    ranks = _ranks(uniform([count], seed))
    return _find(ranks, (ranks + 1) % count)


def partner_of_same_identity(labels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """As `any_partner`, among the images of the same label.

    Args:
        labels: int32 [batch].
        seed: int32 [2].

    Returns:
        int32 [batch]; an image that is the only one of its label is its own partner.

    Example:
        >>> partner_of_same_identity(tf.constant([7, 5, 7]), tf.constant([1, 2])).numpy().tolist()
        [2, 1, 0]
    """
    ranks = _ranks(labels, uniform([tf.size(labels)], seed))
    # The ranks of each label are consecutive.
    starts = tf.reduce_sum(tf.cast(labels < labels[:, None], tf.int32), axis=1)
    ends = tf.reduce_sum(tf.cast(labels <= labels[:, None], tf.int32), axis=1)
    return _find(ranks, tf.where(ranks + 1 < ends, ranks + 1, starts))


def _ranks(*keys: tf.Tensor) -> tf.Tensor:
    """Returns the rank of each element when sorted by the keys in order: int32 [count].

    It compares all pairs: XLA takes seconds to compile a sort, and no time for this.
    """
    indices = tf.range(tf.size(keys[0]))
    before = tf.zeros([1, 1], bool)
    equal = tf.ones([1, 1], bool)
    for key in (*keys, indices):
        before |= equal & (key < key[:, None])
        equal &= key == key[:, None]
    return tf.reduce_sum(tf.cast(before, tf.int32), axis=1)


def _find(ranks: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Returns the index in `ranks` of each wanted rank: int32 [count]."""
    is_match = tf.cast(ranks == wanted[:, None], tf.int32)
    return tf.reduce_sum(is_match * tf.range(tf.size(ranks)), axis=1)
