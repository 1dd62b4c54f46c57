"""Two images laid over each other, with the labels of both."""

from typing import Annotated

import tensorflow as tf
from pydantic import Field

from tfface.data.augment.mixing import BetaShares, any_partner
from tfface.data.augment.options import Probability
from tfface.data.augment.random import another, uniform


class MixUp:
    """Mixes each image with another one of the batch, pixel by pixel.

        image = share * image + (1 - share) * other,     share from Beta(alpha, alpha)

    `keras.layers.MixUp` does the same to one-hot labels, which cost too much with many identities,
    and draws other numbers in compiled code than outside of it.

    Args:
        alpha: above 0; 0.2 mixes few images strongly, 1 all shares alike.
        probability: of an image to be mixed at all, in [0, 1].
    Reference: Zhang et al., ICLR 2018, arXiv:1710.09412.
    """

    mixes_identities = True

    def __init__(
        self,
        alpha: Annotated[float, Field(ge=0.01, le=100)] = 0.2,
        probability: Probability = 1.0,
    ):
        self._shares = BetaShares(alpha)
        self._probability = probability

    def __call__(
        self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        count = tf.shape(images)[0]
        partners = any_partner(count, seed)
        other = another(seed)
        chosen = uniform([count], other + 1) < self._probability
        shares = tf.where(chosen, self._shares.draw(count, other), 1.0)
        parts = shares[:, None, None, None]
        # The first term keeps an image with a share of 1 exactly as it was.
        images = images + (1 - parts) * (tf.gather(images, partners) - images)
        return images, {
            "identities": labels,
            "others": tf.gather(labels, partners),
            "shares": shares,
        }
