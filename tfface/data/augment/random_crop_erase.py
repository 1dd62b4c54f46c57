"""Faces seen in part: everything outside of a random rectangle becomes black."""

import tensorflow as tf

from tfface.data.augment.options import Probability, Range, checked_range
from tfface.data.augment.random import another, uniform
from tfface.data.augment.rectangles import draw_rectangles


class RandomCropErase:
    """Keeps a random rectangle of each image in place and blackens the rest, with a probability.

    AdaFace's "crop augmentation": a random crop that is put back to its place instead of being
    enlarged, so that eyes, nose and mouth stay where the alignment put them.

    Args:
        probability: in [0, 1].
        area: [low, high], the share of the image that is kept, in [0, 1].
        aspect: [low, high], width / height of what is kept, above 0.
    Raises InputError: a range is out of its limits.
    Reference: Kim et al., CVPR 2022, arXiv:2204.00964.
    """

    def __init__(
        self,
        probability: Probability = 0.2,
        area: Range = (0.2, 1.0),
        aspect: Range = (0.75, 1.3333),
    ):
        self._probability = probability
        self._area = checked_range("random_crop_erase: area", area, low=0.01, high=1)
        self._aspect = checked_range("random_crop_erase: aspect", aspect, low=0.01, high=100)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(images)
        rectangles, found = draw_rectangles(shape, seed, area=self._area, aspect=self._aspect)
        chosen = found & (uniform([shape[0]], another(another(seed) + 1)) < self._probability)
        kept = rectangles.mask(shape[1], shape[2]) | ~chosen[:, None, None, None]
        return tf.where(kept, images, 0.0)
