"""Random rectangles in images."""

import math
from typing import NamedTuple

import tensorflow as tf

from tfface.data.augment.random import another, between, uniform

# As in torchvision: a rectangle that doesn't fit into the image is drawn again, so often at most.
_TRIES = 10


class Rectangles(NamedTuple):
    """One for each image: int32 [batch] each, in pixels."""

    top: tf.Tensor
    left: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor

    def mask(self, height: int, width: int) -> tf.Tensor:
        """Returns which pixels of images of that size lie inside: bool [batch, h, w, 1]."""
        rows, columns = tf.range(height), tf.range(width)
        top, left = self.top[:, None], self.left[:, None]
        in_rows = (rows >= top) & (rows < top + self.height[:, None])
        in_columns = (columns >= left) & (columns < left + self.width[:, None])
        return (in_rows[:, :, None] & in_columns[:, None, :])[..., None]


def draw_rectangles(
    shape: tf.Tensor,
    seed: tf.Tensor,
    *,
    area: tuple[float, float],
    aspect: tuple[float, float],
) -> tuple[Rectangles, tf.Tensor]:
    """Draws a rectangle for each image, anywhere in it.

    Its area is uniform in its range, its aspect log-uniform, both before rounding to whole pixels.
    What doesn't fit is drawn anew up to nine times, so that long rectangles are smaller on average.

    Args:
        shape: int32 [4], of the images.
        area: [low, high], as shares of the image's.
        aspect: [low, high], width / height.
    Returns: the rectangles, and whether one was found that fits: bool [batch].
    """
    size = tf.cast(shape[1:3], tf.float32)
    draws = uniform([2, _TRIES, shape[0]], seed)
    pixels = between(*area, draws[0]) * size[0] * size[1]
    aspects = tf.exp(between(math.log(aspect[0]), math.log(aspect[1]), draws[1]))
    heights = tf.cast(tf.round(tf.sqrt(pixels / aspects)), tf.int32)
    widths = tf.cast(tf.round(tf.sqrt(pixels * aspects)), tf.int32)
    fits = (heights <= shape[1]) & (widths <= shape[2]) & (heights > 0) & (widths > 0)
    first = tf.argmax(tf.cast(fits, tf.int32), axis=0, output_type=tf.int32)
    # Of each image its own try.
    height, width = (
        tf.gather(tf.transpose(sides), first, axis=1, batch_dims=1) for sides in (heights, widths)
    )
    found = tf.reduce_any(fits, axis=0)
    height, width = tf.minimum(height, shape[1]), tf.minimum(width, shape[2])
    places = uniform([2, shape[0]], another(seed))
    top = tf.cast(places[0] * tf.cast(shape[1] - height + 1, tf.float32), tf.int32)
    left = tf.cast(places[1] * tf.cast(shape[2] - width + 1, tf.float32), tf.int32)
    return Rectangles(top, left, height, width), found
