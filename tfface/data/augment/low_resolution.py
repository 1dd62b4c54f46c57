"""Faces from afar: fewer pixels, enlarged again."""

import tensorflow as tf

from tfface.data.augment.options import Probability, Range, checked_range
from tfface.data.augment.random import between, uniform
from tfface.data.augment.separable import filter_some, normalized


class LowResolution:
    """Shrinks each image and enlarges it again with a probability.

    Both times by an interpolation drawn for the image: nearest, bilinear, area or bicubic (without
    antialiasing, as OpenCV does it), so that what a network sees is not the trace of one of them.
    AdaFace draws Lanczos' as well, which is close to bicubic. Beyond the border nothing is
    assumed, where OpenCV repeats it.

    Args:
        probability: in [0, 1].
        scale: [low, high], factor on height and width, in (0, 1]; uniform.
    Raises InputError: the range is out of its limits.
    Reference: Kim et al., CVPR 2022, arXiv:2204.00964.
    """

    def __init__(self, probability: Probability = 0.2, scale: Range = (0.2, 1.0)):
        self._probability = probability
        self._scale = checked_range("low_resolution: scale", scale, low=0.01, high=1)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        draws = uniform([4, tf.shape(images)[0]], seed)
        scale = between(*self._scale, draws[0])
        down, up = tf.unstack(tf.cast(draws[1:3] * _NUM_KINDS, tf.int32))
        return filter_some(images, draws[3] < self._probability, _there_and_back, scale, down, up)


_NUM_KINDS = 4


def _there_and_back(size: int, scale: tf.Tensor, down: tf.Tensor, up: tf.Tensor) -> tf.Tensor:
    """Returns float32 [size, size]: what shrinking and enlarging makes of a row."""
    small = tf.maximum(tf.floor(scale * size), 1.0)
    return tf.matmul(_resizing(size, small, size, up), _resizing(size, size, small, down))


def _resizing(size: int, old: tf.Tensor | int, new: tf.Tensor | int, kind: tf.Tensor) -> tf.Tensor:
    """Returns float32 [size, size]: weights of the old places for each new place.

    Args:
        old, new: how many places there are, at most `size`; further rows and columns are 0.
        kind: int32 [], of the interpolation.
    """
    old, new = tf.cast(old, tf.float32), tf.cast(new, tf.float32)
    places = tf.range(size, dtype=tf.float32)
    step = old / new
    # Centers of new places in old ones; rounding must not push the last one out.
    center = (places[:, None] + 0.5) * step - 0.5
    nearest = tf.minimum(tf.floor(places[:, None] * step + 1e-4), old - 1)
    distance = tf.abs(center - places)
    linear = tf.maximum(1 - distance, 0.0)
    near = ((_CUBIC + 2) * distance - (_CUBIC + 3)) * distance**2 + 1
    far = ((_CUBIC * distance - 5 * _CUBIC) * distance + 8 * _CUBIC) * distance - 4 * _CUBIC
    cubic = tf.where(distance < 1, near, tf.where(distance < 2, far, 0.0))
    # How much of an old place a new one covers. Where new places are the smaller, this is
    # bilinear, as in OpenCV.
    area = tf.maximum(
        tf.minimum(center + step / 2, places + 0.5) - tf.maximum(center - step / 2, places - 0.5),
        0.0,
    )
    area = tf.where(step > 1, area, linear)
    weights = tf.where(
        kind == 0,
        tf.cast(places == nearest, tf.float32),
        tf.where(kind == 1, linear, tf.where(kind == 2, area, cubic)),
    )
    weights = tf.where(places < old, weights, 0.0)
    return tf.where(places[:, None] < new, normalized(weights), 0.0)


# The parameter of the bicubic kernel, as in OpenCV.
_CUBIC = -0.75
