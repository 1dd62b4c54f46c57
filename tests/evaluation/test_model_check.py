"""Models whose output is no property of the image are noticed, and all others are left alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import load_embedder
from tfface.evaluation.embedders.embedding_cache import CachedEmbedder
from tfface.evaluation.embedders.keras_model import KerasEmbedder
from tfface.evaluation.model_check import model_warnings

SIZE = 8


def images(count: int = 20) -> list[bytes]:
    pixels = np.random.default_rng(1).integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)
    return [tf.io.encode_png(picture).numpy() for picture in pixels]


def embedder(layer=None, *, training=None, scale: float = 1 / 128, **options) -> KerasEmbedder:
    """A small network with a layer before its end."""
    keras.utils.set_random_seed(3)
    given = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 3)(keras.layers.Rescaling(scale, -1)(given))
    x = keras.layers.Flatten()(x)
    if layer is not None:
        x = layer(x, training=training)
    return KerasEmbedder(keras.Model(given, keras.layers.Dense(16)(x)), "net", **options)


def found(model, encoded=None) -> list[str]:
    encoded = images() if encoded is None else encoded
    return model_warnings(model, encoded, [f"image {i}" for i in range(len(encoded))])


def exploding():
    return keras.layers.Lambda(lambda x: x * np.nan)


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
    model = embedder(keras.layers.BatchNormalization(), training=True, **options)
    [line] = found(model, images(count))
    assert line.startswith("net: its output for an image depends on the other images of its batch")
    assert "batch norm seems to be in training mode" in line
    assert "\n" not in line


def test_dropout_in_training_mode():
    [line] = found(embedder(keras.layers.Dropout(0.5), training=True))
    assert line.startswith("net: its output for an image changes from call to call (by ")
    assert "dropout or another random layer seems to be in training mode" in line


@pytest.mark.parametrize("factor", [0.0, 1e-9])
def test_a_constant_output(factor):
    [line] = found(embedder(keras.layers.Rescaling(factor, offset=1)))
    assert line.startswith("net: its output is the same for 8 different images: its similarities")


def test_nan():
    with pytest.raises(InputError, match=r"^net: its output is NaN or infinite for all 8 images"):
        found(embedder(exploding()))


def test_a_cache_is_not_asked(tmp_path):
    model = embedder(keras.layers.BatchNormalization(), training=True)
    cached = CachedEmbedder(model, tmp_path, print)
    assert found(cached) == found(cached) != []


def test_one_image_several_times():
    assert found(embedder(), images(1) * 20) == []
