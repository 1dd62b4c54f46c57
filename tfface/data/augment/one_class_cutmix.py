"""A piece of one image of a person in another image of the same person."""

from typing import Annotated

import tensorflow as tf
from pydantic import Field

from tfface.data.augment.cutmix import Patches
from tfface.data.augment.mixing import partner_of_same_identity
from tfface.data.augment.options import Probability
from tfface.data.augment.random import another


class OneClassCutMix:
    """Replaces a rectangle of each image by that of another image of the same identity.

    Labels stay as they are. Images whose identity has no other image in the batch stay too:
    `data.images_per_identity` sees to it that there is one. The rectangles are those of `cutmix`.

    Args:
        alpha: above 0; 1 gives all areas alike.
        probability: of an image to get a patch, in [0, 1].
    """

    uses_labels = True

    def __init__(
        self,
        alpha: Annotated[float, Field(ge=0.01, le=100)] = 1.0,
        probability: Probability = 0.5,
    ):
        self._patches = Patches(alpha, probability)

    def __call__(self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        partners = partner_of_same_identity(labels, seed)
        mask = self._patches.mask(tf.shape(images), another(seed))
        return tf.where(mask, tf.gather(images, partners), images)
