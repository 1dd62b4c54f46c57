"""A piece of one image in another, with the labels of both."""

from typing import Annotated

import tensorflow as tf
from pydantic import Field

from tfface.data.augment.mixing import BetaShares, any_partner
from tfface.data.augment.options import Probability
from tfface.data.augment.random import another, uniform
from tfface.data.augment.rectangles import Rectangles


class CutMix:
    """Replaces a rectangle of each image by that of another one of the batch.

    The rectangle has the image's aspect and a share of its area that is drawn from
    Beta(alpha, alpha); its center is anywhere, and what of it lies outside of the image is left
    out. The label's share is what is then left of the image.

    `keras.layers.CutMix` does the same to one-hot labels, which cost too much with many identities,
    and draws other numbers in compiled code than outside of it.

    Args:
        alpha: above 0; 1 gives all areas alike.
        probability: of an image to be mixed at all, in [0, 1].
    Reference: Yun et al., ICCV 2019, arXiv:1905.04899.
    """

    mixes_identities = True

    def __init__(
        self,
        alpha: Annotated[float, Field(ge=0.01, le=100)] = 1.0,
        probability: Probability = 1.0,
    ):
        self._patches = Patches(alpha, probability)

    def __call__(
        self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        partners = any_partner(tf.shape(images)[0], seed)
        mask = self._patches.mask(tf.shape(images), another(seed))
        return tf.where(mask, tf.gather(images, partners), images), {
            "identities": labels,
            "others": tf.gather(labels, partners),
            "shares": 1 - tf.reduce_mean(tf.cast(mask, tf.float32), axis=(1, 2, 3)),
        }


class Patches:
    """Draws the rectangles of CutMix.

    Args:
        alpha, probability: as there.
    """

    def __init__(self, alpha: float, probability: float):
        self._areas = BetaShares(alpha)
        self._probability = probability

    def mask(self, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns which pixels are replaced: bool [batch, height, width, 1].

        Args:
            shape: int32 [4], of the images.
        """
        # `another` twice would be the first seed again, by which the partners are drawn.
        draws = uniform([3, shape[0]], another(seed) + 1)
        chosen = draws[0] < self._probability
        sides = tf.sqrt(tf.where(chosen, self._areas.draw(shape[0], seed), 0.0))
        tops, heights = _extent(shape[1], sides, draws[1])
        lefts, widths = _extent(shape[2], sides, draws[2])
        return Rectangles(tops, lefts, heights, widths).mask(shape[1], shape[2])


def _extent(size: tf.Tensor, sides: tf.Tensor, centers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns begin and length of a share of a side about a center, as far as within the image."""
    full = tf.cast(size, tf.float32)
    length = tf.round(sides * full)
    begin = tf.floor(centers * full) - tf.floor(length / 2)
    end = tf.minimum(begin + length, full)
    begin = tf.maximum(begin, 0.0)
    return tf.cast(begin, tf.int32), tf.cast(end - begin, tf.int32)
