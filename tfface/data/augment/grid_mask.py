"""Faces behind a grid of squares."""

import math
from typing import Annotated, Literal

import tensorflow as tf
from pydantic import Field

from tfface.data.augment.options import Probability, Range, checked_range
from tfface.data.augment.random import another, between, noise_values, uniform


class GridMask:
    """Covers each image by a turned grid of squares with a probability.

    A square of `ratio` times the grid's unit is covered in each unit, so about ratio^2 of the
    image. The defaults are those of `keras_cv.layers.GridMask`; that layer takes its numbers from
    a state of its own and images one by one, so that a batch would not be a function of the seed.

    Args:
        probability: in [0, 1].
        ratio: [low, high], side of a square / unit of the grid, in [0, 1]; uniform.
        unit: [low, high], the grid's unit as a share of the image's shorter side, in [0.02, 2];
            uniform.
        rotation: up to so many degrees, in [0, 180]; uniform in both directions.
        fill: what squares are filled with: `black`, or `noise` (each value uniform).
    Raises InputError: a range is out of its limits.
    Reference: Chen et al., arXiv:2001.04086.
    """

    def __init__(
        self,
        probability: Probability = 0.5,
        ratio: Range = (0.0, 0.5),
        unit: Range = (0.3, 0.5),
        rotation: Annotated[float, Field(ge=0, le=180)] = 54.0,
        fill: Literal["black", "noise"] = "black",
    ):
        self._probability = probability
        self._ratio = checked_range("grid_mask: ratio", ratio, low=0, high=1)
        self._unit = checked_range("grid_mask: unit", unit, low=0.02, high=2)
        self._rotation = rotation * math.pi / 180
        self._fill = fill

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(images)
        draws = uniform([6, shape[0], 1, 1], seed)
        height, width = shape[1], shape[2]
        unit = between(*self._unit, draws[0]) * tf.cast(tf.minimum(height, width), tf.float32)
        ratio = between(*self._ratio, draws[1])
        angle = between(-self._rotation, self._rotation, draws[2])
        y = tf.range(height, dtype=tf.float32)[:, None]
        x = tf.range(width, dtype=tf.float32)[None, :]
        # In units of the grid, from a corner of a square.
        along = (x * tf.cos(angle) - y * tf.sin(angle)) / unit + draws[3]
        across = (x * tf.sin(angle) + y * tf.cos(angle)) / unit + draws[4]
        covered = (along - tf.floor(along) < ratio) & (across - tf.floor(across) < ratio)
        covered &= draws[5] < self._probability
        return tf.where(covered[..., None], self._filling(shape, another(seed)), images)

    def _filling(self, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        if self._fill == "black":
            return tf.zeros([1, 1, 1, 3])
        return noise_values(shape, seed)
