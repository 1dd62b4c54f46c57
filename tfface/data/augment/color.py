"""Color augmentations, and the color operations of RandAugment."""

import math

import numpy as np
import tensorflow as tf

from tfface.data.augment import words
from tfface.data.augment.random import Amount, Probability, range_of_amount, uniform

# The weights of red, green and blue in the luma (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)
_RGB_TO_YIQ = np.array(
    [
        [0.299, 0.587, 0.114],
        [0.595716, -0.274453, -0.321263],
        [0.211456, -0.522591, 0.311135],
    ]
)


class ColorJitter:
    """Changes brightness, contrast, saturation and hue of each image.

    Four numbers are drawn for each image, each uniform in its range, and applied in this order:

        brightness   x + 255 * b                        b in [-brightness, brightness]
        contrast     m + c * (x - m), m = mean of       c in [1 - contrast, 1 + contrast]
                     each color channel of the image
        saturation   y + s * (x - y), y = luma          s in [1 - saturation, 1 + saturation]
        hue          rotates the color about the gray   h in [-hue, hue], 1 is a full turn
                     axis by h turns

    All four are affine in RGB, so each image gets one 3 x 3 matrix and one offset. Only the result
    is clipped to 0..255.

    Brightness and contrast are those of `tf.image.random_brightness` and `random_contrast`, which
    do not clip float images either. Saturation and hue work on YIQ instead of HSV: they keep the
    luma instead of the largest of R, G and B. Over aligned LFW faces, with saturation 0.4 or hue
    0.05, the mean of the results agrees with that of `tf.image.random_saturation` and `random_hue`
    to 0.4 of 255 and their standard deviation to 2 percent; but mostly red and blue change here,
    and mostly green and blue there.

    Args:
        brightness: Amount in [0, 1], a share of 255; or [low, high] in [-1, 1].
        contrast: Amount in [0, 1]; or [low, high], >= 0.
        saturation: Amount in [0, 1]; or [low, high], >= 0.
        hue: Amount in [0, 0.5], in turns; or [low, high] in [-0.5, 0.5].

    Raises:
        InputError: An amount or a range exceeds its limits.

    Example:
        >>> brighter = ColorJitter(brightness=[0.2, 0.2])
        >>> image = tf.constant([100.0, 150.0, 250.0], shape=[1, 1, 1, 3])
        >>> brighter(image, tf.constant([1, 2])).numpy().round().ravel().tolist()
        [151.0, 201.0, 255.0]
    """

    is_local = True

    def __init__(
        self,
        brightness: Amount = 0.0,
        contrast: Amount = 0.0,
        saturation: Amount = 0.0,
        hue: Amount = 0.0,
    ):
        ranges = [
            range_of_amount(
                "color_jitter: brightness", brightness, neutral=0.0, low=-1.0, high=1.0
            ),
            range_of_amount(
                "color_jitter: contrast", contrast, neutral=1.0, low=0.0, high=math.inf
            ),
            range_of_amount(
                "color_jitter: saturation", saturation, neutral=1.0, low=0.0, high=math.inf
            ),
            range_of_amount("color_jitter: hue", hue, neutral=0.0, low=-0.5, high=0.5),
        ]
        self._low = np.array([low for low, _ in ranges], np.float32)[:, None]
        self._width = np.array([high - low for low, high in ranges], np.float32)[:, None]
        self._needs_mean = ranges[1] != (1.0, 1.0)
        # The compiler does not see that the mean's weight is 0, and the mean costs most.
        self.steps = (self._mix,)
        if self._needs_mean:
            self.steps = (self._fold, self._mean, self._mix)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        numbers = self.draw(images, seed)
        if self._needs_mean:
            numbers = _with_mean(tf.reduce_mean(images, axis=(1, 2)), *numbers)
        matrix, offset = numbers
        # A sum of three products, not a matrix product: the compiler makes one pass of this and of
        # the clipping.
        images = sum(images[..., i, None] * matrix[:, None, None, :, i] for i in range(3))
        return tf.clip_by_value(images + offset[:, None, None], 0.0, 255.0)

    def draw(self, images: tf.Tensor, seed: tf.Tensor) -> tuple:
        """Returns what is drawn for each image.

        Returns:
            A matrix, float32 [batch, 3, 3], and an offset, float32 [batch, 3]; if the contrast
            changes, what `_with_mean` makes these of.
        """
        draws = uniform([4, tf.shape(images)[0]], seed)
        brightness, contrast, saturation, hue = tf.unstack(self._low + self._width * draws)
        # With x the image and m its mean, the first two are c * x + (1 - c) * m + 255 * b, and the
        # last two multiply that by a matrix.
        color = _color_matrix(saturation, hue)
        offset = 255 * brightness[:, None] * tf.ones([1, 3])
        if self._needs_mean:
            return color, contrast, offset
        return color, tf.reduce_sum(color * offset[:, None, :], axis=2)

    def _fold(self, pixels: tf.Tensor, numbers: tuple) -> tuple[tf.Tensor, tuple]:
        return pixels, words.folded(pixels)

    def _mean(self, pixels: tf.Tensor, numbers: tuple) -> tuple[tf.Tensor, tuple]:
        *drawn, red_and_blue, green = numbers
        sums = tf.cast(words.sums(red_and_blue, green), tf.float32)
        return pixels, _with_mean(sums / (pixels.shape[1] * pixels.shape[2]), *drawn)

    def _mix(self, pixels: tf.Tensor, numbers: tuple) -> tuple[tf.Tensor, tuple]:
        """Does with words what `__call__` does with images."""
        matrix, offset = (values[:, None, None] for values in numbers[-2:])
        colors = words.channels(pixels)
        mixed = [
            sum(colors[i] * matrix[..., channel, i] for i in range(3)) + offset[..., channel]
            for channel in range(3)
        ]
        return words.rounded([tf.clip_by_value(color, 0.0, 255.0) for color in mixed]), ()


def _with_mean(mean: tf.Tensor, color: tf.Tensor, contrast: tf.Tensor, offset: tf.Tensor) -> tuple:
    """Returns the matrix and the offset of images whose contrast changes about their mean."""
    offset += (1 - contrast)[:, None] * mean
    return color * contrast[:, None, None], tf.reduce_sum(color * offset[:, None, :], axis=2)


def _color_matrix(saturation: tf.Tensor, hue: tf.Tensor) -> tf.Tensor:
    """Returns float32 [batch, 3, 3]: to YIQ, I and Q scaled and rotated, and back to RGB."""
    back = np.linalg.inv(_RGB_TO_YIQ)
    # The matrix is linear in 1, s * cos and s * sin of the angle; these are its three parts.
    keep = back @ np.diag([1.0, 0.0, 0.0]) @ _RGB_TO_YIQ
    scale = back @ np.diag([0.0, 1.0, 1.0]) @ _RGB_TO_YIQ
    rotate = back @ np.array([[0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]) @ _RGB_TO_YIQ
    angle = 2 * math.pi * hue
    cosine = (saturation * tf.cos(angle))[:, None, None]
    sine = (saturation * tf.sin(angle))[:, None, None]
    return (
        keep.astype(np.float32)
        + cosine * scale.astype(np.float32)
        + sine * rotate.astype(np.float32)
    )


class RandomGrayscale:
    """Replaces each image by its luma (ITU-R BT.601) with a probability.

        y = 0.299 R + 0.587 G + 0.114 B, in all three channels

    Args:
        probability: Float in [0, 1].

    Example:
        >>> gray = RandomGrayscale(probability=1.0)
        >>> image = tf.constant([100.0, 0.0, 0.0], shape=[1, 1, 1, 3])
        >>> gray(image, tf.constant([1, 2])).numpy().round().ravel().tolist()
        [30.0, 30.0, 30.0]
    """

    def __init__(self, probability: Probability = 0.1):
        self._probability = probability

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        chosen = uniform([tf.shape(images)[0], 1, 1, 1], seed) < self._probability
        return tf.where(chosen, _luma(images), images)


# What follows are Pillow's ImageOps and ImageEnhance, in float32 and for one image. Each takes and
# returns float32 [height, width, 3] in 0..255; for images of whole numbers, the result differs from
# Pillow's by its rounding alone. A factor of 1 changes nothing.


def adjust_brightness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Multiplies by the factor: black at 0.

    Args:
        image: float32 [height, width, 3] in 0..255.
        factor: float32 [], >= 0; 1 changes nothing.
    """
    return _clipped(image * factor)


def adjust_color(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Scales the distance from the luma: gray at 0.

    Args:
        image: float32 [height, width, 3] in 0..255.
        factor: float32 [], >= 0; 1 changes nothing.
    """
    luma = _luma(image)
    return _clipped(luma + factor * (image - luma))


def adjust_contrast(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Scales the distance from the mean of the image's luma, to which a factor of 0 reduces it.

    Args:
        image: float32 [height, width, 3] in 0..255.
        factor: float32 [], >= 0; 1 changes nothing.
    """
    mean = tf.reduce_mean(_luma(image))
    return _clipped(mean + factor * (image - mean))


def adjust_sharpness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Scales the distance from the smoothed image; the outermost pixels stay.

    Args:
        image: float32 [height, width, 3] in 0..255.
        factor: float32 [], >= 0; 1 changes nothing.
    """
    height, width, channels = image.shape
    middle = image[1:-1, 1:-1]
    around = sum(
        image[row : height - 2 + row, column : width - 2 + column]
        for row in range(3)
        for column in range(3)
    )
    smooth = (around + 4 * middle) / 13
    change = tf.pad((factor - 1) * (middle - smooth), [[1, 1], [1, 1], [0, 0]])
    return tf.ensure_shape(_clipped(image + change), (height, width, channels))


def stretch_contrast(image: tf.Tensor) -> tf.Tensor:
    """Brings the darkest value of each channel to 0 and the brightest to 255.

    Args:
        image: float32 [height, width, 3] in 0..255.
    """
    low, high = (
        reduce(image, axis=(0, 1), keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max)
    )
    scale = 255 / tf.where(high > low, high - low, 1.0)
    return tf.where(high > low, _clipped((image - low) * scale), image)


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Makes all values of a channel about equally frequent; values are rounded before.

    Args:
        image: float32 [height, width, 3] in 0..255.
    """
    values = tf.cast(tf.round(image), tf.int32)
    channels = tf.range(3) * 256
    counts = tf.math.unsorted_segment_sum(
        tf.ones_like(tf.reshape(values, [-1])), tf.reshape(values + channels, [-1]), 3 * 256
    )
    counts = tf.reshape(counts, [3, 256])
    # The brightest value that occurs is not counted: it has to become 255.
    brightest = tf.reduce_max(tf.where(counts > 0, tf.range(256), 0), axis=1)
    step = (tf.reduce_sum(counts, axis=1) - tf.gather(counts, brightest, batch_dims=1)) // 255
    step = step[:, None]
    before = tf.cumsum(counts, axis=1, exclusive=True) + step // 2
    table = tf.where(step > 0, tf.minimum(before // tf.maximum(step, 1), 255), tf.range(256))
    found = tf.gather(tf.reshape(tf.cast(table, tf.float32), [-1]), values + channels)
    return tf.ensure_shape(found, image.shape)


def posterize(image: tf.Tensor, bits: int) -> tf.Tensor:
    """Keeps the highest `bits` of 8 bits of each value."""
    step = float(2 ** (8 - bits))
    return image if bits == 8 else tf.floor(image / step) * step


def solarize(image: tf.Tensor, threshold: float) -> tf.Tensor:
    """Inverts values at or above the threshold."""
    return tf.where(image < threshold, image, 255 - image)


def _luma(image: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(image * tf.constant(_LUMA), axis=-1, keepdims=True)


def _clipped(image: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(image, 0.0, 255.0)
