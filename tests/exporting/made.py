"""A small embedder and faces for it."""

import keras
import numpy as np
import tensorflow as tf

from tfface.data.pairs.pair_set import PairSet
from tfface.exporting.exporter import Exporter
from tfface.exporting.faces import ExportFaces
from tfface.exporting.options import ExportOptions

SIZE = (12, 10)


def images(count: int, seed: int = 0) -> np.ndarray:
    """Returns pictures of three blocks each: uint8 [count, 12, 10, 3]."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 3, 2, 3), dtype=np.uint8)
    return coarse.repeat(4, axis=1).repeat(5, axis=2)


def network() -> keras.Model:
    """Returns an embedder of 6 numbers with its normalization inside."""
    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [
            keras.Input((*SIZE, 3)),
            keras.layers.Rescaling(1 / 127.5, -1.0),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(6),
        ],
        name="small",
    )


def faces(calibration: int = 0) -> ExportFaces:
    """Returns 5 images to compare by, and some to calibrate on."""
    return ExportFaces(images(calibration, seed=1), images(5), "blocks")


def exporter(model: keras.Model | None = None, **options) -> Exporter:
    """Returns an exporter of `network` that measures no times.

    Args:
        model: in its place.
        options: of the export.
    """
    calibration = 8 if options.get("quantize") == "int8" else 0
    return Exporter(
        model or network(), "small", ExportOptions(**options), faces(calibration), timing=False
    )


def pair_set() -> PairSet:
    """Returns 40 pairs of 40 images; those of a person differ by noise."""
    people = images(20, seed=2).repeat(2, axis=0).astype(int)
    noise = np.random.default_rng(3).integers(-40, 41, people.shape)
    pictures = np.clip(people + noise, 0, 255).astype(np.uint8)
    first = np.concatenate([np.arange(0, 40, 2)] * 2)
    second = np.concatenate([np.arange(1, 40, 2), np.roll(np.arange(1, 40, 2), 1)])
    order = np.arange(40).reshape(2, 20).T.reshape(-1)
    return PairSet(
        name="blocks",
        images=[tf.io.encode_png(picture).numpy() for picture in pictures],
        image_names=[f"{number}.png" for number in range(40)],
        first=first[order],
        second=second[order],
        is_genuine=np.tile([True, False], 20),
        num_folds=4,
    )
