"""Faces that are not quite where the alignment put them."""

from typing import Annotated

import numpy as np
import tensorflow as tf
from pydantic import Field

from tfface.data.augment.random import uniform
from tfface.errors import InputError


class RandomCrop:
    """Loads images larger than the model wants, and cuts each at a place of its own.

    Images are loaded at `from_size` x `from_size`, and every offset is as probable as any other.
    Evaluation, which has no augmentation, loads them at the model's size: the whole image.

    Given smaller images, it enlarges them bilinearly to `from_size` and rounds, but only what is
    cut out then: the pixels are those of `tf.image.resize`, rounded and cut.

    Args:
        from_size: pixels, height and width of the loaded images; at least the model's size.
        image_size: (height, width) of the model's input.
    Raises InputError: `from_size` is smaller than `image_size`.
    """

    enlarges = True
    takes_uint8 = True

    def __init__(
        self, from_size: Annotated[int, Field(ge=1, le=2048)], *, image_size: tuple[int, int]
    ):
        if from_size < max(image_size):
            raise InputError(
                f"random_crop: from_size {from_size} is smaller than the image size "
                f"{image_size[0]} x {image_size[1]}"
            )
        self.load_size = (from_size, from_size)
        self._image_size = image_size

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        draws = uniform([2, tf.shape(images)[0], 1], seed)
        places = [
            tf.cast(draws[axis] * (self.load_size[axis] - size + 1), tf.int32) + tf.range(size)
            for axis, size in enumerate(self._image_size)
        ]
        if tuple(images.shape[1:3]) != self.load_size:
            return self._enlarged(images, *places)
        for axis in (0, 1):
            images = tf.gather(images, places[axis], axis=1 + axis, batch_dims=1)
        return images

    def _enlarged(self, images: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        """Returns the pixels at those places of the enlarged images.

        Args:
            rows: int32 [batch, height], and `columns`: int32 [batch, width].
        """
        height, width = self._image_size
        tables = [_neighbours(images.shape[1 + axis], self.load_size[axis]) for axis in (0, 1)]

        def one(task: tuple) -> tf.Tensor:
            image, rows, columns = task
            left, right, share = (tf.gather(table, columns) for table in tables[1])
            image = _between(
                tf.cast(tf.gather(image, left, axis=1), tf.float32),
                tf.cast(tf.gather(image, right, axis=1), tf.float32),
                share[:, None],
            )
            # Long rows of numbers, which the compiler vectorises.
            image = tf.reshape(image, [-1, width * 3])
            top, bottom, share = (tf.gather(table, rows) for table in tables[0])
            image = _between(tf.gather(image, top), tf.gather(image, bottom), share[:, None])
            return tf.reshape(tf.cast(tf.round(image), images.dtype), [height, width, 3])

        # Image by image: what is between the two directions stays in the processor's cache.
        return tf.map_fn(
            one,
            (images, rows, columns),
            fn_output_signature=tf.TensorSpec((height, width, 3), images.dtype),
        )


def _between(before: tf.Tensor, after: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    return before + (after - before) * share


def _neighbours(size: int, new_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns of each new pixel the old ones before and after it, and how much the latter counts.

    In float32 as `tf.image.resize` has it, so that halves round alike.

    Returns: int32 [new_size], int32 [new_size], float32 [new_size].
    """
    centers = (np.arange(new_size, dtype=np.float32) + np.float32(0.5)) * np.float32(
        size / new_size
    ) - np.float32(0.5)
    before = np.floor(centers)
    shares = centers - before
    before = before.astype(np.int32)
    return np.clip(before, 0, size - 1), np.clip(before + 1, 0, size - 1), shares
