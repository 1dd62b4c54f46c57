"""Covered faces: a random rectangle is replaced."""

from typing import Literal

import tensorflow as tf

from tfface.data.augment.options import Probability, Range, checked_range
from tfface.data.augment.random import another, noise_values, uniform
from tfface.data.augment.rectangles import draw_rectangles


class RandomErasing:
    """Replaces a rectangle of each image with a probability.

    The area is uniform in its range and the aspect log-uniform, as in torchvision (uniform in the
    paper); a rectangle that doesn't fit is drawn again.

    Args:
        probability: in [0, 1].
        area: [low, high], the rectangle's share of the image, in [0, 1].
        aspect: [low, high], its width / height, above 0.
        fill: `noise` (each value uniform, the paper's best), `black`, or `mean` (of each channel of
            the image).
    Raises InputError: a range is out of its limits.
    Reference: Zhong et al., AAAI 2020, arXiv:1708.04896.
    """

    def __init__(
        self,
        probability: Probability = 0.5,
        area: Range = (0.02, 0.4),
        aspect: Range = (0.3, 3.3),
        fill: Literal["noise", "black", "mean"] = "noise",
    ):
        self._probability = probability
        self._area = checked_range("random_erasing: area", area, low=0, high=1)
        self._aspect = checked_range("random_erasing: aspect", aspect, low=0.01, high=100)
        self._fill = fill

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(images)
        rectangles, found = draw_rectangles(shape, seed, area=self._area, aspect=self._aspect)
        other = another(another(seed) + 1)
        chosen = found & (uniform([shape[0]], other) < self._probability)
        erased = rectangles.mask(shape[1], shape[2]) & chosen[:, None, None, None]
        return tf.where(erased, self._filling(images, shape, other + 1), images)

    def _filling(self, images: tf.Tensor, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        if self._fill == "noise":
            return noise_values(shape, seed)
        if self._fill == "mean":
            return tf.reduce_mean(images, axis=(1, 2), keepdims=True)
        return tf.zeros([1, 1, 1, 3])
