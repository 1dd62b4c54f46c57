"""Faces that are not quite where the alignment put them."""

from typing import Annotated

import tensorflow as tf
from pydantic import Field

from tfface.data.augment.draws import uniform
from tfface.errors import InputError


class RandomCrop:
    """Loads images larger than the model wants, and cuts each at a place of its own.

    Images are loaded at `from_size` x `from_size`, and every offset is as probable as any other.
    Evaluation, which has no augmentation, loads them at the model's size: the whole image.

    Args:
        from_size: pixels, height and width of the loaded images; at least the model's size.
        image_size: (height, width) of the model's input.
    Raises InputError: `from_size` is smaller than `image_size`.
    """

    def __init__(self, from_size: Annotated[int, Field(ge=1)], *, image_size: tuple[int, int]):
        if from_size < max(image_size):
            raise InputError(
                f"random_crop: from_size {from_size} is smaller than the image size "
                f"{image_size[0]} x {image_size[1]}"
            )
        self.load_size = (from_size, from_size)
        self._image_size = image_size

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        draws = uniform([2, tf.shape(images)[0], 1], seed)
        for axis in (0, 1):
            size = self._image_size[axis]
            num_places = self.load_size[axis] - size + 1
            places = tf.cast(draws[axis] * num_places, tf.int32) + tf.range(size)
            images = tf.gather(images, places, axis=1 + axis, batch_dims=1)
        return images
