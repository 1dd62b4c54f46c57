"""Turning, scaling, shearing and moving images."""

from typing import Literal

import tensorflow as tf

Fill = Literal["edge", "reflect", "black"]


def warp(images: tf.Tensor, matrices: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Draws every pixel from another place, bilinearly.

    Args:
        images: float32 [batch, height, width, 3].
        matrices: float32 [batch, 2, 3]: where a pixel comes from, [x, y] = A [x, y, 1], in pixels
            from the center of the image.
        fill: what lies outside of an image: its nearest pixel, its mirror image, or black.
    Returns: as the images.
    """
    shape = tf.shape(images)
    batch, height, width = shape[0], shape[1], shape[2]
    middle = (tf.cast(shape[1:3], tf.float32) - 1) / 2
    y = (tf.range(height, dtype=tf.float32) - middle[0])[:, None]
    x = (tf.range(width, dtype=tf.float32) - middle[1])[None, :]
    parts = tf.unstack(matrices[..., None, None], axis=2)
    from_x, from_y = tf.unstack(parts[0] * x + parts[1] * y + parts[2], axis=1)
    from_x, from_y = from_x + middle[1], from_y + middle[0]
    beyond = _is_outside(from_x, width) | _is_outside(from_y, height)
    left, right, share_x = _neighbours(from_x, width, fill)
    top, bottom, share_y = _neighbours(from_y, height, fill)
    pixels = tf.reshape(images, [-1, shape[3]])
    start = (tf.range(batch) * height * width)[:, None, None]

    def pixel(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        return tf.gather(pixels, start + rows * width + columns)

    above = pixel(top, left) * (1 - share_x) + pixel(top, right) * share_x
    below = pixel(bottom, left) * (1 - share_x) + pixel(bottom, right) * share_x
    warped = above * (1 - share_y) + below * share_y
    return tf.where(beyond[..., None], 0.0, warped) if fill == "black" else warped


def _is_outside(places: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return (places < -0.5) | (places > tf.cast(size, tf.float32) - 0.5)


def _neighbours(
    places: tf.Tensor, size: tf.Tensor, fill: Fill
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the pixels before and after each place, and how much the one after counts."""
    last = tf.cast(size, tf.float32) - 1
    if fill == "reflect":
        # Mirrored at the outer edges of the pixels, as often as need be.
        period = 2 * (last + 1)
        turned = tf.math.floormod(places + 0.5, period)
        places = tf.minimum(turned, period - turned) - 0.5
    places = tf.clip_by_value(places, 0.0, last)
    before = tf.floor(places)
    after = tf.minimum(before + 1, last)
    return tf.cast(before, tf.int32), tf.cast(after, tf.int32), (places - before)[..., None]
