"""Faces that are turned, nearer or farther, and not quite where the alignment put them."""

import math

import numpy as np
import tensorflow as tf

from tfface.data.augment.affine_warp import Fill, warp
from tfface.data.augment.options import Amount, range_of_amount
from tfface.data.augment.random import uniform


class RandomAffine:
    """Turns, scales and moves each image about its center by amounts of its own, in one step.

    Each is uniform in its range; instead of an amount, a range [low, high] may be given. Pixels
    are interpolated bilinearly.

    Args:
        rotation: amount in degrees, up to 180; positive turns counter-clockwise.
        zoom: amount about 1; the face gets larger by this factor: [0.8, 1.2] for 0.2.
        shift: amount as a share of width and height, up to 1; drawn for each apart.
        fill: what comes into view: `edge` repeats the nearest pixel, `reflect` mirrors the image,
            `black`.
    Raises InputError: an amount or a range that is out of its limits.
    """

    def __init__(
        self,
        rotation: Amount = 0.0,
        zoom: Amount = 0.0,
        shift: Amount = 0.0,
        fill: Fill = "edge",
    ):
        ranges = [
            range_of_amount("random_affine: rotation", rotation, neutral=0, low=-180, high=180),
            range_of_amount("random_affine: zoom", zoom, neutral=1, low=0.1, high=10),
            *[range_of_amount("random_affine: shift", shift, neutral=0, low=-1, high=1)] * 2,
        ]
        self._low = np.array([[low] for low, _ in ranges], np.float32)
        self._width = np.array([[high - low] for low, high in ranges], np.float32)
        self._fill = fill

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(images)
        draws = self._low + self._width * uniform([4, shape[0]], seed)
        angle, zoom = draws[0] * (math.pi / 180), draws[1]
        size = tf.cast(shape[1:3], tf.float32)
        right, down = draws[2] * size[1], draws[3] * size[0]
        # Backwards: a pixel at p comes from R^-1 (p - shift) / zoom.
        cosine, sine = tf.cos(angle) / zoom, tf.sin(angle) / zoom
        rows = [
            [cosine, -sine, -cosine * right + sine * down],
            [sine, cosine, -sine * right - cosine * down],
        ]
        matrices = tf.stack([tf.stack(row, axis=-1) for row in rows], axis=1)
        return warp(images, matrices, self._fill)
