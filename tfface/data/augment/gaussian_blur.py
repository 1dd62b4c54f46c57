"""Photos out of focus."""

import tensorflow as tf

from tfface.data.augment.options import Probability, Range, checked_range
from tfface.data.augment.random import between, uniform
from tfface.data.augment.separable import filter_some, normalized


class GaussianBlur:
    """Blurs each image by a Gaussian of its own width with a probability.

    Args:
        probability: in [0, 1].
        sigma: [low, high], the standard deviation in pixels, in [0.1, 20]; uniform.
    Raises InputError: the range is out of its limits.
    """

    def __init__(self, probability: Probability = 0.5, sigma: Range = (0.1, 2.0)):
        self._probability = probability
        self._sigma = checked_range("gaussian_blur: sigma", sigma, low=0.1, high=20)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        draws = uniform([2, tf.shape(images)[0]], seed)
        sigma = between(*self._sigma, draws[0])
        return filter_some(images, draws[1] < self._probability, _kernels, sigma)


def _kernels(size: int, sigma: tf.Tensor) -> tf.Tensor:
    """Returns float32 [size, size]: the weights of all places for each."""
    places = tf.range(size, dtype=tf.float32)
    distances = places[:, None] - places
    return normalized(tf.exp(-0.5 * (distances / sigma) ** 2))
