"""The baselines of `pipeline`: a per-image `tf.image` pipeline, and PyTorch's DataLoader.

The first is that of arcface-tf2, with integer labels: each record is parsed, decoded, resized,
cropped, flipped and color-jittered by itself.
"""

import importlib
import io
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from tfface.data.augment.random import range_of_amount
from tfface.data.records import example
from tfface.data.sources.image_source import ImageSource

# arcface-tf2's.
_SHUFFLE_BUFFER = 10_240

# Name of an augmentation -> its options.
Augmentations = Mapping[str, Mapping[str, Any]]

SUPPORTED = {
    "random_crop": {"from_size"},
    "random_flip": {"probability"},
    "color_jitter": {"brightness", "contrast", "saturation"},
}


def unsupported_augmentation(augmentations: Augmentations) -> str | None:
    """Returns the first augmentation, or option of one, that the baselines don't support.

    Args:
        augmentations: Those of a recipe.

    Returns:
        Its name; None if all are supported.

    Example:
        >>> unsupported_augmentation({"random_flip": {"probability": 0.5}, "mixup": {}})
        'mixup'
    """
    for name, options in augmentations.items():
        if name not in SUPPORTED:
            return name
        # Other options have no effect if they are 0.
        unknown = sorted(key for key in options if options[key] and key not in SUPPORTED[name])
        if unknown:
            return f"{name}: {unknown[0]}"
    return None


def baseline_batches(
    source: ImageSource, image_size: tuple[int, int], batch_size: int, augmentations: Augmentations
) -> tf.data.Dataset:
    """Makes batches with `tf.image`, image by image.

    Args:
        source: The source. Its record files are read directly, if it has any.
        image_size: (height, width) of the batches.
        batch_size: Images in a batch.
        augmentations: Those to apply, all in `SUPPORTED`.

    Returns:
        A `tf.data.Dataset` of images, float32 [batch, height, width, 3] in about [0, 1], and
        labels, int [batch].
    """
    features = {
        example.ENCODED: tf.io.FixedLenFeature([], tf.string),
        example.LABEL: tf.io.FixedLenFeature([], tf.int64),
    }

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tf.io.parse_single_example(serialized, features)
        return parsed[example.ENCODED], parsed[example.LABEL]

    def load(encoded: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.io.decode_jpeg(encoded, channels=3)
        size = (
            (augmentations["random_crop"]["from_size"],) * 2
            if "random_crop" in augmentations
            else image_size
        )
        image = tf.image.resize(image, size)
        for name, options in augmentations.items():
            image = _augment(image, name, options, image_size)
        return tf.ensure_shape(image / 255, (*image_size, 3)), label

    if source.record_files:
        files = [str(file) for file in source.record_files]
        dataset = tf.data.TFRecordDataset(files).shuffle(_SHUFFLE_BUFFER)
        dataset = dataset.map(lambda record: load(*parse(record)), tf.data.AUTOTUNE)
    else:
        labels = tf.constant(source.labels)
        dataset = source.encoded(np.arange(source.num_images)).shuffle(_SHUFFLE_BUFFER)
        dataset = dataset.map(lambda index, encoded: load(encoded, labels[index]), tf.data.AUTOTUNE)
    return dataset.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def _augment(
    image: tf.Tensor, name: str, options: Mapping[str, Any], image_size: tuple[int, int]
) -> tf.Tensor:
    """Applies one augmentation to a float32 image in [0, 255]."""
    if name == "random_crop":
        return tf.image.random_crop(image, (*image_size, 3))
    if name == "random_flip":
        return tf.image.random_flip_left_right(image)
    if options.get("brightness"):
        image = tf.image.random_brightness(image, 255 * _range(options, "brightness")[1])
    if options.get("contrast"):
        image = tf.image.random_contrast(image, *_range(options, "contrast"))
    if options.get("saturation"):
        image = tf.image.random_saturation(image, *_range(options, "saturation"))
    return image


def _range(options: Mapping[str, Any], effect: str) -> tuple[float, float]:
    neutral = 0.0 if effect == "brightness" else 1.0
    return range_of_amount(
        f"color_jitter: {effect}", options[effect], neutral=neutral, low=-1.0, high=float("inf")
    )


def is_torch_installed() -> bool:
    return importlib.util.find_spec("torch") is not None


def torch_batches(
    source: ImageSource, image_size: tuple[int, int], batch_size: int, augmentations: Augmentations
) -> Iterable:
    """Makes batches with PyTorch's DataLoader and Pillow, with one worker process per CPU.

    Args:
        source: The source.
        image_size: (height, width) of the batches.
        batch_size: Images in a batch.
        augmentations: Those to apply, all in `SUPPORTED`.

    Returns:
        An iterable of images, uint8 [batch, height, width, 3], and labels, int [batch]. It can be
        iterated several times; its workers persist.
    """
    return importlib.import_module("torch.utils.data").DataLoader(
        PillowImages(source, image_size, augmentations),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=os.cpu_count(),
        persistent_workers=True,
        # TensorFlow's threads don't survive a fork.
        multiprocessing_context="spawn",
    )


class PillowImages:
    """A map-style dataset for PyTorch: the images of a source, decoded with Pillow.

    Args:
        source: The source.
        image_size: (height, width) of its images.
        augmentations: Those to apply, all in `SUPPORTED`.
    """

    def __init__(
        self, source: ImageSource, image_size: tuple[int, int], augmentations: Augmentations
    ):
        self._source = source
        self._image_size = image_size
        self._augmentations = augmentations
        self._generator = np.random.default_rng()

    def __len__(self) -> int:
        return self._source.num_images

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        """Returns an image, uint8 [height, width, 3], and its label."""
        encoded = self._source.read(int(index)).encoded
        image = Image.open(io.BytesIO(encoded)).convert("RGB")
        height, width = self._image_size
        if "random_crop" in self._augmentations:
            height = width = self._augmentations["random_crop"]["from_size"]
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        for name, options in self._augmentations.items():
            image = self._augment(image, name, options)
        return np.array(image), int(self._source.labels[index])

    def _augment(self, image: Image.Image, name: str, options: Mapping[str, Any]) -> Image.Image:
        height, width = self._image_size
        if name == "random_crop":
            left = int(self._generator.integers(image.width - width + 1))
            top = int(self._generator.integers(image.height - height + 1))
            return image.crop((left, top, left + width, top + height))
        if name == "random_flip":
            return ImageOps.mirror(image) if self._generator.random() < 0.5 else image
        for effect, enhance in (
            ("brightness", ImageEnhance.Brightness),
            ("contrast", ImageEnhance.Contrast),
            ("saturation", ImageEnhance.Color),
        ):
            if options.get(effect):
                # Pillow's brightness is a factor.
                neutral = 1.0 if effect == "brightness" else 0.0
                factor = neutral + self._generator.uniform(*_range(options, effect))
                image = enhance(image).enhance(factor)
        return image
