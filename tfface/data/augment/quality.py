"""Image quality: noise, blur and low resolution."""

from collections.abc import Callable
from typing import Annotated

import tensorflow as tf
from pydantic import Field

from tfface.data.augment.random import (
    Probability,
    Range,
    checked_range,
    uniform,
    uniform_between,
    words_of_values,
)

# Of the count of 16 random bits (16 / 4) and of a uniform number on [0, 1) (1 / 12).
_NOISE_VARIANCE = 16 / 4 + 1 / 12
_NOISE_MEAN = 16 / 2 + 1 / 2
# Nearest, bilinear, area, bicubic.
_NUM_INTERPOLATIONS = 4
# The parameter of the bicubic kernel, as in OpenCV.
_CUBIC = -0.75


class GaussianNoise:
    """Adds independent noise to every value of every pixel, and clips to 0..255.

    The noise is close to normal: the number of ones among 16 random bits plus a uniform number made
    of 16 others, scaled. It has mean 0, the given standard deviation and kurtosis -0.12, and never
    exceeds 4.2 standard deviations; at 112 pixels and 5 of 255 it can't be told from normal noise
    after the rounding, and it costs a seventh.

    Args:
        stddev: Standard deviation in [0, 255], in units of 0..255.

    Example:
        >>> noise = GaussianNoise(8.0)
        >>> noise(tf.fill([2, 112, 112, 3], 128.0), tf.constant([1, 2])).shape
        TensorShape([2, 112, 112, 3])
    """

    def __init__(self, stddev: Annotated[float, Field(ge=0, le=255)]):
        self._stddev = stddev

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(images)
        bits = words_of_values(shape, seed)
        ones = tf.raw_ops.PopulationCount(x=tf.bitwise.bitwise_and(bits, 0xFFFF))
        uniform = tf.cast(tf.bitwise.right_shift(bits, 16), tf.float32) / 2**16
        noise = tf.cast(ones, tf.float32) + uniform - _NOISE_MEAN
        noise *= self._stddev / _NOISE_VARIANCE**0.5
        return tf.clip_by_value(images + tf.reshape(noise, shape), 0.0, 255.0)


class GaussianBlur:
    """Blurs each image by a Gaussian of its own width with a probability.

    Beyond the border nothing is assumed: the weights of the pixels that exist sum to 1.

    Args:
        probability: Float in [0, 1].
        sigma: [low, high] in [0.1, 20], the standard deviation in pixels; uniform.

    Raises:
        InputError: The range exceeds its limits.

    Example:
        >>> blur = GaussianBlur(1.0, sigma=[2.0, 2.0])
        >>> flat = tf.fill([1, 16, 16, 3], 100.0)
        >>> bool(tf.reduce_all(tf.abs(blur(flat, tf.constant([1, 2])) - flat) < 1e-3))
        True
    """

    def __init__(self, probability: Probability = 0.5, sigma: Range = (0.1, 2.0)):
        self._probability = probability
        self._sigma = checked_range("gaussian_blur: sigma", sigma, low=0.1, high=20)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        draws = uniform([2, tf.shape(images)[0]], seed)
        sigma = uniform_between(*self._sigma, draws[0])
        return _filter_chosen(images, draws[1] < self._probability, _gaussian_weights, sigma)


def _gaussian_weights(size: int, sigma: tf.Tensor) -> tf.Tensor:
    positions = tf.range(size, dtype=tf.float32)
    distances = positions[:, None] - positions
    return _normalize_rows(tf.exp(-0.5 * (distances / sigma) ** 2))


class LowResolution:
    """Shrinks each image and enlarges it again with a probability.

    Both times by an interpolation drawn for the image: nearest, bilinear, area or bicubic (without
    antialiasing, as OpenCV does it), so that the network does not learn the artifacts of one of
    them. AdaFace draws Lanczos as well, which is close to bicubic. Beyond the border nothing is
    assumed, where OpenCV repeats it.

    Args:
        probability: Float in [0, 1].
        scale: [low, high] in [0.01, 1], factor on height and width; uniform.

    Raises:
        InputError: The range exceeds its limits.

    Reference: Kim et al., CVPR 2022, arXiv:2204.00964.

    Example:
        >>> low = LowResolution(1.0, scale=[0.25, 0.5])
        >>> low(tf.zeros([2, 112, 112, 3]), tf.constant([1, 2])).shape
        TensorShape([2, 112, 112, 3])
    """

    def __init__(self, probability: Probability = 0.2, scale: Range = (0.2, 1.0)):
        self._probability = probability
        self._scale = checked_range("low_resolution: scale", scale, low=0.01, high=1)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        draws = uniform([4, tf.shape(images)[0]], seed)
        scale = uniform_between(*self._scale, draws[0])
        down, up = tf.unstack(tf.cast(draws[1:3] * _NUM_INTERPOLATIONS, tf.int32))
        chosen = draws[3] < self._probability
        return _filter_chosen(images, chosen, _down_and_up_weights, scale, down, up)


def _down_and_up_weights(size: int, scale: tf.Tensor, down: tf.Tensor, up: tf.Tensor) -> tf.Tensor:
    small = tf.maximum(tf.floor(scale * size), 1.0)
    return tf.matmul(
        _resize_weights(size, small, size, up), _resize_weights(size, size, small, down)
    )


def _resize_weights(
    size: int, old: tf.Tensor | int, new: tf.Tensor | int, interpolation: tf.Tensor
) -> tf.Tensor:
    """Returns float32 [size, size]: the weights of the old pixels for each new pixel.

    Args:
        old, new: The numbers of pixels, at most `size`; further rows and columns are 0.
        interpolation: int32 [], the index of nearest, bilinear, area or bicubic.
    """
    old, new = tf.cast(old, tf.float32), tf.cast(new, tf.float32)
    positions = tf.range(size, dtype=tf.float32)
    step = old / new
    # Centers of new pixels in old ones; rounding must not push the last one out.
    center = (positions[:, None] + 0.5) * step - 0.5
    nearest = tf.minimum(tf.floor(positions[:, None] * step + 1e-4), old - 1)
    distance = tf.abs(center - positions)
    linear = tf.maximum(1 - distance, 0.0)
    near = ((_CUBIC + 2) * distance - (_CUBIC + 3)) * distance**2 + 1
    far = ((_CUBIC * distance - 5 * _CUBIC) * distance + 8 * _CUBIC) * distance - 4 * _CUBIC
    cubic = tf.where(distance < 1, near, tf.where(distance < 2, far, 0.0))
    # How much of an old pixel a new one covers. Where new pixels are the smaller, this is bilinear,
    # as in OpenCV.
    area = tf.maximum(
        tf.minimum(center + step / 2, positions + 0.5)
        - tf.maximum(center - step / 2, positions - 0.5),
        0.0,
    )
    area = tf.where(step > 1, area, linear)
    weights = tf.where(
        interpolation == 0,
        tf.cast(positions == nearest, tf.float32),
        tf.where(interpolation == 1, linear, tf.where(interpolation == 2, area, cubic)),
    )
    weights = tf.where(positions < old, weights, 0.0)
    return tf.where(positions[:, None] < new, _normalize_rows(weights), 0.0)


def _filter_chosen(
    images: tf.Tensor, chosen: tf.Tensor, weights: Callable, *arguments: tf.Tensor
) -> tf.Tensor:
    """Applies a separable filter to the chosen images, each with its own weights.

    Image by image: the others cost nothing then, and the compiler multiplies two matrices several
    times faster than two stacks of them.

    Args:
        images: float32 [batch, height, width, 3] in 0..255.
        chosen: bool [batch].
        weights: (size, *arguments of one image) -> float32 [size, size]: the weights of the old
            pixels of a row or column for each new pixel.
        arguments: Each [batch, ...].

    Returns:
        The images, clipped to 0..255.
    """
    height, width, channels = images.shape[1:]

    def filter_one(image: tf.Tensor, arguments: tuple) -> tf.Tensor:
        image = tf.matmul(weights(height, *arguments), tf.reshape(image, [height, -1]))
        image = tf.transpose(tf.reshape(image, [height, width, channels]), [1, 0, 2])
        image = tf.matmul(weights(width, *arguments), tf.reshape(image, [width, -1]))
        image = tf.transpose(tf.reshape(image, [width, height, channels]), [1, 0, 2])
        return tf.clip_by_value(image, 0.0, 255.0)

    def filter_if_chosen(task: tuple) -> tf.Tensor:
        image, is_chosen, *arguments = task
        return tf.cond(is_chosen, lambda: filter_one(image, arguments), lambda: image)

    return tf.map_fn(
        filter_if_chosen,
        (images, chosen, *arguments),
        fn_output_signature=tf.TensorSpec(images.shape[1:], tf.float32),
    )


def _normalize_rows(weights: tf.Tensor) -> tf.Tensor:
    """Makes the sum of each row 1; pixels beyond an image's border have no weight."""
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)
