"""Some operations of a fixed list for each image: RandAugment."""

import math
from collections.abc import Callable
from typing import Annotated

import tensorflow as tf
from pydantic import Field

from tfface.data.augment.affine_warp import warp
from tfface.data.augment.color_operations import (
    adjust_brightness,
    adjust_color,
    adjust_contrast,
    adjust_sharpness,
    equalize,
    posterize,
    solarize,
    stretch_contrast,
)
from tfface.data.augment.options import Probability
from tfface.data.augment.random import uniform

Operation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class RandAugment:
    """Applies `num_operations` of these to each image, every one drawn anew:

        identity, autocontrast, equalize, rotate, solarize, color, posterize, contrast,
        brightness, sharpness, shear_x, shear_y, translate_x, translate_y

    They are the paper's, as Pillow does them, with torchvision's ranges: at magnitude 1, 30
    degrees, shears of 0.3, moves of 0.45 of the side, factors 1 +- 0.9, 4 bits, and all values
    inverted. What has a direction takes each with the same probability; what comes into view is
    black.

    Written here, because `keras.layers.RandAugment` draws one list of operations for a whole batch,
    and `keras_cv.layers.RandAugment` takes its numbers from a state of its own: a batch would not
    be a function of the seed.

    Args:
        num_operations: for each image; 2 as a rule.
        magnitude: in [0, 1]; 0.3 is the 9 of 30 that others have as default.
        probability: of an image to be changed at all, in [0, 1].
    Reference: Cubuk et al., NeurIPS 2020, arXiv:1909.13719.
    """

    def __init__(
        self,
        num_operations: Annotated[int, Field(ge=1, le=8)] = 2,
        magnitude: Annotated[float, Field(ge=0, le=1)] = 0.3,
        probability: Probability = 1.0,
    ):
        self._num_operations = num_operations
        self._probability = probability
        self._operations = list(operations(magnitude).values())

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        count = tf.shape(images)[0]
        draws = uniform([2 * self._num_operations + 1, count], seed)
        choices = tf.cast(draws[: self._num_operations] * len(self._operations), tf.int32)
        signs = tf.where(draws[self._num_operations : -1] < 0.5, -1.0, 1.0)
        # The first operation changes nothing.
        choices = tf.where(draws[-1] < self._probability, choices, 0)

        def augment(task: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
            image, choices, signs = task
            # A loop, so that the operations are compiled once.
            return tf.foldl(
                lambda image, drawn: _applied(self._operations, drawn[0], image, drawn[1]),
                (choices, signs),
                initializer=image,
            )

        # Image by image, because of all operations only those that were drawn are then worked out.
        return tf.map_fn(
            augment,
            (images, tf.transpose(choices), tf.transpose(signs)),
            fn_output_signature=tf.TensorSpec(images.shape[1:], tf.float32),
        )


def _applied(
    operations: list[Operation], choice: tf.Tensor, image: tf.Tensor, sign: tf.Tensor
) -> tf.Tensor:
    branches = [lambda operation=operation: operation(image, sign) for operation in operations]
    return tf.switch_case(choice, branches)


def operations(magnitude: float) -> dict[str, Operation]:
    """Returns the operations by name: (image float32 [h, w, 3] in 0..255, sign -1 or 1) -> image.

    Args:
        magnitude: in [0, 1].
    """
    change = 0.9 * magnitude
    angle = 30 * magnitude * math.pi / 180
    shear = 0.3 * magnitude
    move = 150 / 331 * magnitude
    # Torchvision's, where 30 is the highest of 31 magnitudes.
    bits = 8 - round(4 * magnitude)
    cosine, sine = math.cos(angle), math.sin(angle)
    return {
        "identity": lambda image, sign: image,
        "autocontrast": lambda image, sign: stretch_contrast(image),
        "equalize": lambda image, sign: equalize(image),
        "rotate": lambda image, sign: _warped(
            image, [[cosine, -sign * sine, 0.0], [sign * sine, cosine, 0.0]]
        ),
        "solarize": lambda image, sign: solarize(image, 255 * (1 - magnitude)),
        "color": lambda image, sign: adjust_color(image, 1 + sign * change),
        "posterize": lambda image, sign: posterize(image, bits),
        "contrast": lambda image, sign: adjust_contrast(image, 1 + sign * change),
        "brightness": lambda image, sign: adjust_brightness(image, 1 + sign * change),
        "sharpness": lambda image, sign: adjust_sharpness(image, 1 + sign * change),
        "shear_x": lambda image, sign: _warped(image, [[1.0, sign * shear, 0.0], [0.0, 1.0, 0.0]]),
        "shear_y": lambda image, sign: _warped(image, [[1.0, 0.0, 0.0], [sign * shear, 1.0, 0.0]]),
        "translate_x": lambda image, sign: _warped(
            image, [[1.0, 0.0, sign * move * _side(image, 1)], [0.0, 1.0, 0.0]]
        ),
        "translate_y": lambda image, sign: _warped(
            image, [[1.0, 0.0, 0.0], [0.0, 1.0, sign * move * _side(image, 0)]]
        ),
    }


def _warped(image: tf.Tensor, matrix: list) -> tf.Tensor:
    return warp(image[None], tf.stack([tf.stack(row) for row in matrix])[None], "black")[0]


def _side(image: tf.Tensor, axis: int) -> tf.Tensor:
    return tf.cast(tf.shape(image)[axis], tf.float32)
