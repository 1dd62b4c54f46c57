"""Models whose output is no property of the image are noticed, and all others are left alone."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import load_embedder
from tfface.evaluation.embedders.embedding_cache import CachedEmbedder
from tfface.evaluation.embedders.external import ExternalEmbedder, ImageInput
from tfface.evaluation.embedders.keras_model import KerasEmbedder
from tfface.evaluation.embedders.options import EmbedderOptions
from tfface.evaluation.model_check import model_warnings

SIZE = 8


def images(count: int = 20) -> list[bytes]:
    pixels = np.random.default_rng(1).integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)
    return [tf.io.encode_png(picture).numpy() for picture in pixels]


class BatchStatistics(keras.layers.Layer):
    """Batch norm that is always in training mode."""

    def call(self, x):
        return (x - ops.mean(x, axis=0)) / (ops.std(x, axis=0) + 1e-3)


class Noise(keras.layers.Layer):
    """Dropout that is always in training mode."""

    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, x):
        return keras.random.dropout(x, 0.5, seed=self.seeds)


def embedder(layer=None, **options) -> KerasEmbedder:
    """A small network with a layer before its end."""
    keras.utils.set_random_seed(3)
    given = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 3)(keras.layers.Rescaling(1 / 128, -1)(given))
    x = keras.layers.Flatten()(x)
    if layer is not None:
        x = layer(x)
    return KerasEmbedder(keras.Model(given, keras.layers.Dense(16)(x)), "net", **options)


def found(model, encoded=None) -> list[str]:
    encoded = images() if encoded is None else encoded
    return model_warnings(model, encoded, [f"image {i}" for i in range(len(encoded))])


@pytest.mark.parametrize("count", [1, 2, 20])
@pytest.mark.parametrize(
    "layer", [None, keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
)
def test_sound_models_are_left_alone(layer, count):
    assert found(embedder(layer), images(count)) == []
    assert found(load_embedder("pixels"), images(count)) == []


@pytest.mark.parametrize("options", [{}, {"flip": False}, {"batch_size": 4}])
@pytest.mark.parametrize("count", [1, 20])
def test_batch_norm_in_training_mode(options, count):
    model = embedder(BatchStatistics(), **options)
    [line] = found(model, images(count))
    assert line.startswith("net: its output for an image depends on the other images of its batch")
    assert "batch norm seems to be in training mode" in line
    assert "\n" not in line


def test_dropout_in_training_mode():
    [line] = found(embedder(Noise()))
    assert line.startswith("net: its output for an image changes from call to call; it changed by ")
    assert "dropout or another random layer seems to be in training mode" in line


@pytest.mark.parametrize("factor", [0.0, 1e-9])
def test_a_constant_output(factor):
    [line] = found(embedder(keras.layers.Rescaling(factor, offset=1)))
    assert line.startswith("net: its output is the same for 8 different images: its similarities")


def test_nan():
    with pytest.raises(InputError, match=r"^net: its output is NaN or infinite for all 8 images"):
        found(embedder(keras.layers.Rescaling(np.nan)))


@pytest.mark.parametrize("batch", [None, 1, 3])
@pytest.mark.parametrize("flip", [False, True])
def test_models_of_other_formats(batch, flip):
    weights = np.random.default_rng(7).normal(size=(SIZE, SIZE, 3, 16))
    takes = ImageInput(batch, SIZE, SIZE, channels_first=False, is_uint8=False)
    options = EmbedderOptions(flip=flip)

    def sound(images):
        return np.tanh(np.tensordot(images, weights, 3))

    def training(images):
        found = np.tensordot(images, weights, 3)
        return (found - found.mean(axis=0)) / (found.std(axis=0) + 1e-3)

    assert found(ExternalEmbedder(sound, Path("net.onnx"), takes, options)) == []
    lines = found(ExternalEmbedder(training, Path("net.onnx"), takes, options))
    # One image at a time has no batch, and is normalized to nothing.
    expected = "is the same for 8 different" if batch == 1 else "depends on the other images"
    assert [expected in line for line in lines] == [True]


def test_infinity_for_some_images():
    weights = np.random.default_rng(7).normal(size=(SIZE, SIZE, 3, 16))
    takes = ImageInput(None, SIZE, SIZE, channels_first=False, is_uint8=False)

    def first_is_infinite(images):
        where = (np.arange(len(images)) == 0) & (len(images) > 1)
        return np.where(where[:, None], np.inf, np.tensordot(images, weights, 3))

    options = EmbedderOptions(flip=False)
    assert found(ExternalEmbedder(first_is_infinite, Path("net.onnx"), takes, options)) == []


def test_a_cache_is_not_asked(tmp_path):
    model = embedder(BatchStatistics())
    cached = CachedEmbedder(model, tmp_path, print)
    assert found(cached) == found(cached) != []


def test_one_image_several_times():
    assert found(embedder(), images(1) * 20) == []
