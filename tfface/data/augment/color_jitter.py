"""Other light, other cameras: brightness, contrast, saturation and hue in one step."""

import math

import numpy as np
import tensorflow as tf

from tfface.data.augment.options import Amount, range_of_amount
from tfface.data.augment.random import uniform

_RGB_TO_YIQ = np.array(
    [
        [0.299, 0.587, 0.114],
        [0.595716, -0.274453, -0.321263],
        [0.211456, -0.522591, 0.311135],
    ]
)


class ColorJitter:
    """Draws four numbers for each image, uniformly, and applies them in this order:

        brightness   x + 255 * b                        b in [-brightness, brightness]
        contrast     m + c * (x - m), m = mean of       c in [1 - contrast, 1 + contrast]
                     each colour channel of the image
        saturation   y + s * (x - y), y = luma          s in [1 - saturation, 1 + saturation]
        hue          turns the colour about the grey    h in [-hue, hue], 1 is a full turn
                     axis by h turns

    Instead of an amount, a range [low, high] of b, c, s or h may be given. All four are affine in
    RGB, so each image gets one 3 x 3 matrix and one offset. Only the result is clipped to 0..255.

    Brightness and contrast are those of `tf.image.random_brightness` and `random_contrast` (which
    clips nothing either on float images). Saturation and hue work on YIQ instead of HSV: luma is
    kept instead of the largest of R, G and B. Over aligned LFW faces, with saturation 0.4 or hue
    0.05, the mean of the results agrees with that of `tf.image.random_saturation` and `random_hue`
    to 0.4 of 255 and their standard deviation to 2 percent; but what changes is mostly red and blue
    here, and mostly green and blue there.

    Args:
        brightness: amount in [0, 1], a share of 255; or [low, high] in [-1, 1].
        contrast: amount in [0, 1]; or [low, high], >= 0.
        saturation: amount in [0, 1]; or [low, high], >= 0.
        hue: amount in [0, 0.5], in turns; or [low, high] in [-0.5, 0.5].
    Raises InputError: an amount or a range that is out of its limits.
    """

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

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        draws = uniform([4, tf.shape(images)[0]], seed)
        brightness, contrast, saturation, hue = tf.unstack(self._low + self._width * draws)
        # With x the image and m its mean, the first two are c * x + (1 - c) * m + 255 * b, and the
        # last two multiply that by a matrix.
        color = _color_matrix(saturation, hue)
        offset = 255 * brightness[:, None] * tf.ones([1, 3])
        # The compiler can't tell that it counts nothing, and it takes longer than all the rest.
        if self._needs_mean:
            offset += (1 - contrast)[:, None] * tf.reduce_mean(images, axis=(1, 2))
        offset = tf.reduce_sum(color * offset[:, None, :], axis=2)
        matrix = color * contrast[:, None, None]
        # A sum of three products, not a matrix product: the compiler makes one pass of this and of
        # the clipping.
        images = sum(images[..., i, None] * matrix[:, None, None, :, i] for i in range(3))
        return tf.clip_by_value(images + offset[:, None, None], 0.0, 255.0)


def _color_matrix(saturation: tf.Tensor, hue: tf.Tensor) -> tf.Tensor:
    """Returns float32 [batch, 3, 3]: to YIQ, I and Q scaled and turned, and back to RGB."""
    back = np.linalg.inv(_RGB_TO_YIQ)
    # The matrix is linear in 1, s * cos and s * sin of the angle; these are its three parts.
    keep = back @ np.diag([1.0, 0.0, 0.0]) @ _RGB_TO_YIQ
    scale = back @ np.diag([0.0, 1.0, 1.0]) @ _RGB_TO_YIQ
    turn = back @ np.array([[0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]) @ _RGB_TO_YIQ
    angle = 2 * math.pi * hue
    cosine = (saturation * tf.cos(angle))[:, None, None]
    sine = (saturation * tf.sin(angle))[:, None, None]
    return (
        keep.astype(np.float32) + cosine * scale.astype(np.float32) + sine * turn.astype(np.float32)
    )
