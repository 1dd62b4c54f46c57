"""RandAugment: random operations of a fixed list for each image."""

import math
from collections.abc import Callable
from typing import Annotated

import tensorflow as tf
from pydantic import Field

from tfface.data.augment.color import (
    adjust_brightness,
    adjust_color,
    adjust_contrast,
    adjust_sharpness,
    equalize,
    posterize,
    solarize,
    stretch_contrast,
)
from tfface.data.augment.geometric import affine_warp
from tfface.data.augment.random import Probability, uniform

Operation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class RandAugment:
    """Applies `num_operations` operations to each image, each drawn from these:

        identity, autocontrast, equalize, rotate, solarize, color, posterize, contrast,
        brightness, sharpness, shear_x, shear_y, translate_x, translate_y

    They are the paper's operations, as Pillow does them, with torchvision's ranges: at magnitude 1,
    30 degrees, shears of 0.3, shifts of 0.45 of the side, factors 1 +- 0.9, 4 bits, and all values
    inverted. Both directions of an operation have the same probability; pixels from outside of the
    image are black.

    `keras.layers.RandAugment` draws one list of operations for a whole batch, and applies all
    operations to all images to select from the results.

    Args:
        num_operations: For each image, 1 to 8; the paper's default is 2.
        magnitude: Float in [0, 1]; 0.3 is 9 of 30, a common default.
        probability: Of an image to be changed at all, in [0, 1].

    Reference: Cubuk et al., NeurIPS 2020, arXiv:1909.13719.

    Example:
        >>> augment = RandAugment(num_operations=2, magnitude=0.3)
        >>> augment(tf.zeros([2, 32, 32, 3]), tf.constant([1, 2])).shape
        TensorShape([2, 32, 32, 3])
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

        # Image by image, so that only the operations that were drawn are computed.
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
        magnitude: Float in [0, 1].

    Example:
        >>> sorted(operations(0.3))[:3]
        ['autocontrast', 'brightness', 'color']
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
    matrices = tf.stack([tf.stack(row) for row in matrix])[None]
    return affine_warp(image[None], matrices, "black")[0]


def _side(image: tf.Tensor, axis: int) -> tf.Tensor:
    return tf.cast(tf.shape(image)[axis], tf.float32)
