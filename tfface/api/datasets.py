"""Labeled images for users: sources of every format, and batches of them as a tf.data.Dataset."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import tensorflow as tf

from tfface import arguments
from tfface.data.augment import AUGMENTATIONS
from tfface.data.augment.building import build_augmentations
from tfface.data.pipeline.epoch_order import EpochOrder, Order, PKOrder
from tfface.data.pipeline.pipeline import Pipeline, image_pipeline
from tfface.data.sources import SOURCES, opening
from tfface.data.sources.image_source import ImageSource
from tfface.paths import expanded
from tfface.recipe import load_source, parse_section
from tfface.recipe.schema import AugmentationConfig
from tfface.registry import build_from_config

# A path, a text of the command line, the mapping of a recipe, or an opened source.
Source: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | ImageSource

_CACHES = ("none", "memory", "disk")


def open_source(source: Source, *, data_dir: str | os.PathLike[str] = ".") -> ImageSource:
    """Opens labeled images of any supported format.

    Args:
        source: a folder with one folder for each person, a converted dataset, an InsightFace
            `.rec` or its folder, a `.csv`, K-Face, or a folder of tensorflow-datasets. Or with
            options, as in a recipe: `{"source": "csv", "path": "faces.csv", ...}`.
        data_dir: where the relative paths of such a mapping start.

    Returns:
        The source, with `num_images`, `num_identities`, `identities` (position = label), `labels`
        and `read(index)`.

    Raises:
        InputError: the format is not recognized, an option is unknown, or it can't be read.

    Example:
        >>> import tfface
        >>> faces = {"source": "synthetic", "num_identities": 2, "images_per_identity": 3}
        >>> source = tfface.open_source(faces)
        >>> source.num_images, source.labels.tolist()
        (6, [0, 0, 0, 1, 1, 1])
    """
    if isinstance(source, ImageSource):
        return source
    if isinstance(source, Mapping):
        part = load_source(dict(source), SOURCES, "source")
        folder = expanded(data_dir)
        return build_from_config(SOURCES[part.name], part.options, folder, paths_start=folder)
    if not isinstance(source, str | os.PathLike):
        raise arguments.wrong("a source", "a path, a mapping or an opened source", source)
    return opening.open_source(os.fspath(source)).source


def image_dataset(
    source: Source,
    *,
    image_size: int | tuple[int, int] = 112,
    batch_size: int = 32,
    shuffle: bool = True,
    augment: Sequence[str | Mapping[str, Any]] = (),
    samples_per_identity: int | None = None,
    cache: Literal["none", "memory", "disk"] = "none",
    cache_dir: str | os.PathLike[str] | None = None,
    seed: int = 0,
    epochs: int = 1,
) -> tf.data.Dataset:
    """Returns batches of images and labels, as `keras.Model.fit` takes them.

    What a batch holds is a function of the seed, the epoch and the step alone. Pixels are never
    rescaled here: the networks of tfface contain their input normalization.

    Args:
        source: as `open_source` takes it.
        image_size: of the images in pixels: one number, or (height, width).
        batch_size: images of a batch.
        shuffle: False keeps the images in their order, and the last batch, which may be smaller.
        augment: augmentations as a recipe has them, for example
            ["random_flip", {"color_jitter": {"brightness": 0.15}}].
        samples_per_identity: PK sampling: so many images of each identity of a batch.
        cache: `none` decodes images in every epoch; `memory` and `disk` keep them decoded.
        cache_dir: folder for `disk`.
        seed: decides order and augmentation; 0 or more.
        epochs: the dataset holds so many epochs, each in an order of its own; give `fit` the
            `steps_per_epoch`, which is the dataset's cardinality divided by `epochs`.

    Returns:
        tf.data.Dataset of (images uint8 [batch, height, width, 3] in RGB, labels int32 [batch]).

    Raises:
        InputError: the source can't be opened, or options can't be combined.

    Example:
        >>> import tfface
        >>> faces = {"source": "synthetic", "num_identities": 3, "images_per_identity": 4}
        >>> dataset = tfface.image_dataset(faces, image_size=32, batch_size=4)
        >>> images, labels = next(iter(dataset))
        >>> images.shape, labels.shape
        (TensorShape([4, 32, 32, 3]), TensorShape([4]))
    """
    whole_number = arguments.whole_number
    num_epochs = whole_number("epochs", epochs, 1, 10_000)
    if samples_per_identity is not None:
        samples_per_identity = whole_number("samples_per_identity", samples_per_identity, 1)
    pipeline = _pipeline(
        open_source(source),
        arguments.image_size(image_size),
        whole_number("batch_size", batch_size, 1),
        shuffle=shuffle,
        augment=arguments.listed("augment", augment, "augmentations"),
        samples_per_identity=samples_per_identity,
        cache=arguments.one_of("cache", cache, _CACHES),
        cache_dir=None if cache_dir is None else expanded(cache_dir),
        seed=whole_number("seed", seed, 0),
    )
    dataset = pipeline.epoch(0)
    for epoch in range(1, num_epochs):
        dataset = dataset.concatenate(pipeline.epoch(epoch))
    return dataset


def _pipeline(
    source: ImageSource,
    image_size: tuple[int, int],
    batch_size: int,
    *,
    shuffle: bool,
    augment: Sequence[str | Mapping[str, Any]],
    samples_per_identity: int | None,
    cache: Any,
    cache_dir: Path | None,
    seed: int,
) -> Pipeline:
    order: Order
    if samples_per_identity is not None:
        order = PKOrder(source.labels, batch_size, samples_per_identity, seed=seed)
    else:
        order = EpochOrder(
            source.num_images,
            batch_size,
            seed=seed,
            shuffle=shuffle,
            last_batch="drop" if shuffle else "keep",
        )
    return image_pipeline(
        source,
        np.arange(source.num_images),
        order,
        image_size=image_size,
        augment=build_augmentations([_augmentation(given) for given in augment], image_size),
        cache=cache,
        cache_dir=cache_dir,
    )


def _augmentation(given: str | Mapping[str, Any]) -> AugmentationConfig:
    return parse_section(AugmentationConfig, given, {"augmentations": AUGMENTATIONS}, "augment")
