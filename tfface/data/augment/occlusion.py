"""Occlusion: rectangles and grids that hide a part of the face."""

import math
from typing import Annotated, Literal, NamedTuple

import tensorflow as tf
from pydantic import Field

from tfface.data.augment.random import (
    Probability,
    Range,
    checked_range,
    next_seed,
    noise_values,
    uniform,
    uniform_between,
)

# As in torchvision: a rectangle that does not fit into the image is drawn again, so often at most.
_TRIES = 10


class RandomErasing:
    """Replaces a rectangle of each image with a probability.

    The area is uniform in its range and the aspect log-uniform, as in torchvision (uniform in the
    paper); a rectangle that does not fit is drawn again.

    Args:
        probability: Float in [0, 1].
        area: [low, high] in [0, 1], the rectangle's share of the image.
        aspect: [low, high] in [0.01, 100], its width / height.
        fill: `noise` (each value uniform, the paper's best), `black`, or `mean` (of each channel of
            the image).

    Raises:
        InputError: A range exceeds its limits.

    Reference: Zhong et al., AAAI 2020, arXiv:1708.04896.

    Example:
        >>> erase = RandomErasing(1.0, area=[0.25, 0.25], aspect=[1.0, 1.0], fill="black")
        >>> images = erase(tf.ones([1, 8, 8, 3]), tf.constant([1, 2]))
        >>> float(tf.reduce_mean(images))
        0.75
    """

    def __init__(
        self,
        probability: Probability = 0.5,
        area: Range = (0.02, 0.4),
        aspect: Range = (0.3, 3.3),
        fill: Literal["noise", "black", "mean"] = "noise",
    ):
        self._probability = probability
        self._area = checked_range("random_erasing: area", area, low=0, high=1)
        self._aspect = checked_range("random_erasing: aspect", aspect, low=0.01, high=100)
        self._fill = fill

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(images)
        rectangles, found = draw_rectangles(shape, seed, area=self._area, aspect=self._aspect)
        other = next_seed(next_seed(seed) + 1)
        chosen = found & (uniform([shape[0]], other) < self._probability)
        erased = rectangles.mask(shape[1], shape[2]) & chosen[:, None, None, None]
        return tf.where(erased, self._filling(images, shape, other + 1), images)

    def _filling(self, images: tf.Tensor, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        if self._fill == "noise":
            return noise_values(shape, seed)
        if self._fill == "mean":
            return tf.reduce_mean(images, axis=(1, 2), keepdims=True)
        return tf.zeros([1, 1, 1, 3])


class RandomCropErase:
    """Keeps a random rectangle of each image and blackens the rest, with a probability.

    This is AdaFace's "crop augmentation": a random crop that stays where it was instead of being
    enlarged, so that eyes, nose and mouth stay at the positions of the alignment.

    Args:
        probability: Float in [0, 1].
        area: [low, high] in [0.01, 1], the share of the image that is kept.
        aspect: [low, high] in [0.01, 100], width / height of the part that is kept.

    Raises:
        InputError: A range exceeds its limits.

    Reference: Kim et al., CVPR 2022, arXiv:2204.00964.

    Example:
        >>> crop = RandomCropErase(1.0, area=[0.25, 0.25], aspect=[1.0, 1.0])
        >>> float(tf.reduce_mean(crop(tf.ones([1, 8, 8, 3]), tf.constant([1, 2]))))
        0.25
    """

    def __init__(
        self,
        probability: Probability = 0.2,
        area: Range = (0.2, 1.0),
        aspect: Range = (0.75, 1.3333),
    ):
        self._probability = probability
        self._area = checked_range("random_crop_erase: area", area, low=0.01, high=1)
        self._aspect = checked_range("random_crop_erase: aspect", aspect, low=0.01, high=100)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(images)
        rectangles, found = draw_rectangles(shape, seed, area=self._area, aspect=self._aspect)
        chosen = found & (uniform([shape[0]], next_seed(next_seed(seed) + 1)) < self._probability)
        kept = rectangles.mask(shape[1], shape[2]) | ~chosen[:, None, None, None]
        return tf.where(kept, images, 0.0)


class GridMask:
    """Covers each image by a rotated grid of squares with a probability.

    Each unit of the grid has a square with a side of `ratio` units, so about ratio^2 of the image
    is covered. The defaults are those of `keras_cv.layers.GridMask`.

    Args:
        probability: Float in [0, 1].
        ratio: [low, high] in [0, 1], side of a square / unit of the grid; uniform.
        unit: [low, high] in [0.02, 2], the grid's unit as a share of the image's shorter side;
            uniform.
        rotation: Degrees in [0, 180]; the angle is uniform in [-rotation, rotation].
        fill: Fills the squares: `black`, or `noise` (each value uniform).

    Raises:
        InputError: A range exceeds its limits.

    Reference: Chen et al., arXiv:2001.04086.

    Example:
        >>> mask = GridMask(1.0, ratio=[0.5, 0.5], unit=[0.5, 0.5], rotation=0.0)
        >>> float(tf.reduce_mean(mask(tf.ones([1, 16, 16, 3]), tf.constant([1, 2]))))
        0.75
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
        unit = uniform_between(*self._unit, draws[0]) * tf.cast(
            tf.minimum(height, width), tf.float32
        )
        ratio = uniform_between(*self._ratio, draws[1])
        angle = uniform_between(-self._rotation, self._rotation, draws[2])
        y = tf.range(height, dtype=tf.float32)[:, None]
        x = tf.range(width, dtype=tf.float32)[None, :]
        # In units of the grid, from a corner of a square.
        along = (x * tf.cos(angle) - y * tf.sin(angle)) / unit + draws[3]
        across = (x * tf.sin(angle) + y * tf.cos(angle)) / unit + draws[4]
        covered = (along - tf.floor(along) < ratio) & (across - tf.floor(across) < ratio)
        covered &= draws[5] < self._probability
        return tf.where(covered[..., None], self._filling(shape, next_seed(seed)), images)

    def _filling(self, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        if self._fill == "black":
            return tf.zeros([1, 1, 1, 3])
        return noise_values(shape, seed)


class Rectangles(NamedTuple):
    """One rectangle for each image of a batch; int32 [batch] each, in pixels.

    Example:
        >>> one = Rectangles(*(tf.constant([value]) for value in (1, 0, 1, 2)))
        >>> one.mask(2, 3)[0, :, :, 0].numpy().astype(int).tolist()
        [[0, 0, 0], [1, 1, 0]]
    """

    top: tf.Tensor
    left: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor

    def mask(self, height: int, width: int) -> tf.Tensor:
        """Marks the pixels inside, in images of that size: bool [batch, height, width, 1]."""
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
    One that does not fit is drawn again up to nine times, so that long rectangles are smaller on
    average.

    Args:
        shape: int32 [4], of the images.
        seed: int32 [2].
        area: (low, high), as shares of the image's area.
        aspect: (low, high), width / height.

    Returns:
        The rectangles, and whether one was found that fits: bool [batch].

    Example:
        >>> shape = tf.constant([5, 100, 100, 3])
        >>> rectangles, fits = draw_rectangles(
        ...     shape, tf.constant([1, 2]), area=(0.04, 0.04), aspect=(1.0, 1.0)
        ... )
        >>> rectangles.height.numpy().tolist()
        [20, 20, 20, 20, 20]
    """
    size = tf.cast(shape[1:3], tf.float32)
    draws = uniform([2, _TRIES, shape[0]], seed)
    pixels = uniform_between(*area, draws[0]) * size[0] * size[1]
    aspects = tf.exp(uniform_between(math.log(aspect[0]), math.log(aspect[1]), draws[1]))
    heights = tf.cast(tf.round(tf.sqrt(pixels / aspects)), tf.int32)
    widths = tf.cast(tf.round(tf.sqrt(pixels * aspects)), tf.int32)
    fits = (heights <= shape[1]) & (widths <= shape[2]) & (heights > 0) & (widths > 0)
    first = tf.argmax(tf.cast(fits, tf.int32), axis=0, output_type=tf.int32)
    # Each image takes its own first try that fits.
    height, width = (
        tf.gather(tf.transpose(sides), first, axis=1, batch_dims=1) for sides in (heights, widths)
    )
    found = tf.reduce_any(fits, axis=0)
    height, width = tf.minimum(height, shape[1]), tf.minimum(width, shape[2])
    places = uniform([2, shape[0]], next_seed(seed))
    top = tf.cast(places[0] * tf.cast(shape[1] - height + 1, tf.float32), tf.int32)
    left = tf.cast(places[1] * tf.cast(shape[2] - width + 1, tf.float32), tf.int32)
    return Rectangles(top, left, height, width), found
