"""Geometric augmentations: mirroring, cropping, rotation, zoom and shift."""

import math
from typing import Annotated, Literal

import numpy as np
import tensorflow as tf
from pydantic import Field

from tfface.data.augment import words
from tfface.data.augment.random import Amount, Probability, range_of_amount, uniform
from tfface.errors import InputError

Fill = Literal["edge", "reflect", "black"]


class RandomFlip:
    """Mirrors each image left to right with a probability.

    Args:
        probability: Float in [0, 1].

    Example:
        >>> flip = RandomFlip(probability=1.0)
        >>> image = tf.reshape(tf.range(6, dtype=tf.float32), [1, 1, 2, 3])
        >>> flip(image, tf.constant([1, 2])).numpy().ravel().tolist()
        [3.0, 4.0, 5.0, 0.0, 1.0, 2.0]
    """

    takes_uint8 = True
    is_local = True

    def __init__(self, probability: Probability = 0.5):
        self._probability = probability
        self.steps = (self._flip,)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return self._flip(images, self.draw(images, seed))[0]

    def draw(self, images: tf.Tensor, seed: tf.Tensor) -> tuple:
        """Returns whether each image is mirrored: bool [batch]."""
        return (uniform([tf.shape(images)[0]], seed) < self._probability,)

    def _flip(self, images: tf.Tensor, numbers: tuple) -> tuple[tf.Tensor, tuple]:
        (chosen,) = numbers
        chosen = tf.reshape(chosen, [-1] + [1] * (len(images.shape) - 1))
        return tf.where(chosen, images[:, :, ::-1], images), ()


class RandomCrop:
    """Loads images larger than the model's input, and crops each at a random position.

    Images are loaded at `from_size` x `from_size`; all offsets are equally probable. Evaluation
    does not augment: it loads whole images at the model's size.

    Smaller images are enlarged bilinearly to `from_size` and rounded, but only the part that is
    kept is computed: the pixels are those of `tf.image.resize`, rounded and cropped.

    Args:
        from_size: Height and width of the loaded images in pixels; at least the model's size.
        image_size: (height, width) of the model's input.

    Raises:
        InputError: `from_size` is smaller than `image_size`.

    Example:
        >>> crop = RandomCrop(128, image_size=(112, 112))
        >>> crop.load_size
        (128, 128)
        >>> crop(tf.zeros([2, 128, 128, 3]), tf.constant([1, 2])).shape
        TensorShape([2, 112, 112, 3])
    """

    enlarges = True
    takes_uint8 = True
    is_local = False

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
        self.steps = (self._take_columns, self._take_rows)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        numbers = self.draw(images, seed)
        for step in self.steps:
            images, _ = step(images, numbers)
        return images

    def draw(self, images: tf.Tensor, seed: tf.Tensor) -> tuple:
        """Returns which pixels are kept, or which are interpolated and how.

        Returns:
            Of columns and of rows, int32 [batch, width] and [batch, height]; for images that are
            enlarged, what `_columns` returns, and the rows before, the rows after, and the weight
            of the latter.
        """
        draws = uniform([2, tf.shape(images)[0], 1], seed)
        top, left = (
            tf.cast(draws[axis] * (self.load_size[axis] - self._image_size[axis] + 1), tf.int32)
            for axis in (0, 1)
        )
        (height, width), size = self._image_size, images.shape[1:3]
        if tuple(size) == self.load_size:
            return (left + tf.range(width),), (top + tf.range(height),)
        columns = _columns(left, width, size[1], self.load_size[1])
        tables = _resize_table(size[0], self.load_size[0])
        return columns, tuple(tf.gather(table, top + tf.range(height)) for table in tables)

    def _take_columns(self, images: tf.Tensor, numbers: tuple) -> tuple[tf.Tensor, tuple]:
        (before, *_), _ = numbers
        return tf.gather(images, before, axis=2, batch_dims=1), ()

    def _take_rows(self, images: tf.Tensor, numbers: tuple) -> tuple[tf.Tensor, tuple]:
        """Takes the rows; of images that are enlarged, interpolates columns and rows."""
        (_, *columns), (before, *rows) = numbers
        if not rows:
            return tf.gather(images, before, axis=1, batch_dims=1), ()
        (distances, weights), (after, row_weights) = columns, rows
        width = self._image_size[1]
        left = right = images[:, :, :width]
        for distance in range(1, images.shape[2] - width + 1):
            is_as_far = _along(2, distances, images) >= distance
            right = tf.where(is_as_far, images[:, :, distance : distance + width], right)
        results = []
        for from_left, from_right in zip(_values(left), _values(right), strict=True):
            row = _interpolate(from_left, from_right, _along(2, weights, from_left))
            above, below = (tf.gather(row, rows, axis=1, batch_dims=1) for rows in (before, after))
            results.append(_interpolate(above, below, _along(1, row_weights, above)))
        if words.is_packed(images):
            return words.rounded(results), ()
        return tf.cast(tf.round(results[0]), images.dtype), ()


def _values(images: tf.Tensor) -> list[tf.Tensor]:
    """Returns images as float32, and words as three channels."""
    return words.channels(images) if words.is_packed(images) else [tf.cast(images, tf.float32)]


def _along(axis: int, numbers: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Reshapes [batch, n] so that n is along an axis of images or words."""
    shape = [1] * len(images.shape)
    shape[0], shape[axis] = -1, numbers.shape[1]
    return tf.reshape(numbers, shape)


def _columns(start: tf.Tensor, width: int, size: int, new_size: int) -> tuple:
    """Lists what the columns of a part of enlarged images are made of.

    Args:
        start: int32 [batch, 1], the first column of the part in each image.
        width: Of the part, in new pixels.
        size, new_size: Widths of an image, in old and in new pixels.

    Returns:
        The old column before each new one, int32 [batch, width + n], for a few more than the
        part; how far on in this list the old column after each is, int32 [batch, width], at most n;
        and the weight of the latter, float32 [batch, width].
    """
    before, after, weights = _resize_table(size, new_size)
    # Both ascend, by one column at a time. At the edges, it is the same column.
    distances = np.maximum(np.searchsorted(before, after) - np.arange(new_size), 0)
    more = int(distances.max())
    before = np.append(before, np.full(more, size - 1)).astype(np.int32)
    kept = start + tf.range(width)
    return (
        tf.gather(before, start + tf.range(width + more)),
        tf.gather(distances.astype(np.int32), kept),
        tf.gather(weights, kept),
    )


def _interpolate(before: tf.Tensor, after: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    return before + (after - before) * weight


def _resize_table(size: int, new_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lists, for each new pixel, the old pixels before and after it and the weight of the latter.

    In float32 like `tf.image.resize`, so that halves round alike.

    Returns:
        int32 [new_size], int32 [new_size], float32 [new_size].
    """
    centers = (np.arange(new_size, dtype=np.float32) + np.float32(0.5)) * np.float32(
        size / new_size
    ) - np.float32(0.5)
    before = np.floor(centers)
    weights = centers - before
    before = before.astype(np.int32)
    return np.clip(before, 0, size - 1), np.clip(before + 1, 0, size - 1), weights


class RandomAffine:
    """Rotates, scales and shifts each image about its center, in one interpolation.

    Rotation, zoom and both shifts are drawn for each image, each uniform in its range. An amount x
    stands for the range [neutral - x, neutral + x]. Pixels are interpolated bilinearly.

    Args:
        rotation: Amount in degrees, up to 180, or [low, high] in [-180, 180]; positive is
            counter-clockwise.
        zoom: Amount about 1, or [low, high] in [0.1, 10]; the face gets larger by this factor.
        shift: Amount as a share of width and height, up to 1, or [low, high] in [-1, 1]; drawn
            separately for each.
        fill: Pixels from outside of the image: `edge` repeats the nearest pixel, `reflect` mirrors
            the image, `black` is black.

    Raises:
        InputError: An amount or a range exceeds its limits.

    Example:
        >>> affine = RandomAffine(rotation=10.0, zoom=[0.9, 1.1], fill="reflect")
        >>> affine(tf.zeros([2, 112, 112, 3]), tf.constant([1, 2])).shape
        TensorShape([2, 112, 112, 3])
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
        return affine_warp(images, matrices, self._fill)


def affine_warp(images: tf.Tensor, matrices: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Samples every pixel from another position, bilinearly.

    Args:
        images: float32 [batch, height, width, 3].
        matrices: float32 [batch, 2, 3]: where a pixel comes from, [x, y] = A [x, y, 1], in pixels
            from the center of the image.
        fill: Pixels from outside of the image: its nearest pixel, its mirror image, or black.

    Returns:
        float32 of the images' shape.

    Example:
        >>> image = tf.reshape(tf.range(9, dtype=tf.float32), [1, 1, 3, 3])
        >>> one_pixel_to_the_left = tf.constant([[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]])
        >>> affine_warp(image, one_pixel_to_the_left, "black")[0, 0, :, 0].numpy().tolist()
        [3.0, 6.0, 0.0]
    """
    shape = tf.shape(images)
    batch, height, width = shape[0], shape[1], shape[2]
    middle = (tf.cast(shape[1:3], tf.float32) - 1) / 2
    y = (tf.range(height, dtype=tf.float32) - middle[0])[:, None]
    x = (tf.range(width, dtype=tf.float32) - middle[1])[None, :]
    parts = tf.unstack(matrices[..., None, None], axis=2)
    from_x, from_y = tf.unstack(parts[0] * x + parts[1] * y + parts[2], axis=1)
    from_x, from_y = from_x + middle[1], from_y + middle[0]
    outside = _is_outside(from_x, width) | _is_outside(from_y, height)
    left, right, weight_x = _neighbors(from_x, width, fill)
    top, bottom, weight_y = _neighbors(from_y, height, fill)
    pixels = tf.reshape(images, [-1, shape[3]])
    start = (tf.range(batch) * height * width)[:, None, None]

    def pixel(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        return tf.gather(pixels, start + rows * width + columns)

    above = pixel(top, left) * (1 - weight_x) + pixel(top, right) * weight_x
    below = pixel(bottom, left) * (1 - weight_x) + pixel(bottom, right) * weight_x
    warped = above * (1 - weight_y) + below * weight_y
    return tf.where(outside[..., None], 0.0, warped) if fill == "black" else warped


def _is_outside(positions: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return (positions < -0.5) | (positions > tf.cast(size, tf.float32) - 0.5)


def _neighbors(
    positions: tf.Tensor, size: tf.Tensor, fill: Fill
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the pixels before and after each position, and the weight of the one after."""
    last = tf.cast(size, tf.float32) - 1
    if fill == "reflect":
        # Mirrored at the outer edges of the pixels, as often as need be.
        period = 2 * (last + 1)
        wrapped = tf.math.floormod(positions + 0.5, period)
        positions = tf.minimum(wrapped, period - wrapped) - 0.5
    positions = tf.clip_by_value(positions, 0.0, last)
    before = tf.floor(positions)
    after = tf.minimum(before + 1, last)
    return tf.cast(before, tf.int32), tf.cast(after, tf.int32), (positions - before)[..., None]
