"""Folded batch norms get statistics of the training images, and the embedder stays what it was."""

import keras
import numpy as np
import pytest

from tests.training.recipes import load_tiny
from tfface.backbones.weights.onnx_graph import batch_norm_fills, identity_fills
from tfface.data.sources.image_source import SourceImages
from tfface.data.sources.synthetic import SyntheticSource
from tfface.training.folded_norms import estimate_folded_norms
from tfface.training.recognizer import build_recognizer


def test_statistics_are_those_of_the_training_images(tmp_path):
    embedder = build_recognizer(load_tiny(tmp_path).model, (32, 32), 6, tmp_path).embedder
    source = SyntheticSource(num_identities=3, images_per_identity=7, size=32)
    images = SourceImages(source, np.arange(21))
    # A new one has the variance 1, and so divides by a little more.
    assert estimate_folded_norms(embedder, images) is None

    rng = np.random.default_rng(0)
    inner, outer = embedder.get_layer("backbone").get_layer("batch_norm_0"), embedder.layers[-2]
    for norm in (inner, outer):
        for variable, values in identity_fills(norm, rng.normal(size=norm.gamma.shape)):
            variable.assign(values)
    pixels = rng.integers(0, 256, (5, 32, 32, 3)).astype("float32")
    before = keras.ops.convert_to_numpy(embedder(pixels))
    assert estimate_folded_norms(embedder, images) == (
        "batch norms: statistics of 2 folded ones from 21 training images"
    )
    np.testing.assert_allclose(keras.ops.convert_to_numpy(embedder(pixels)), before, atol=1e-5)
    for norm in (inner, outer):
        scale = np.sqrt(keras.ops.convert_to_numpy(norm.moving_variance) + norm.epsilon)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(norm.gamma), scale, rtol=1e-5)
    assert estimate_folded_norms(embedder, images) is None


@pytest.mark.parametrize("variance", [0.5, 1e-6])
def test_a_batch_norm_with_another_epsilon_computes_the_same(variance):
    norm = keras.layers.BatchNormalization(epsilon=1e-3)
    norm.build((None, 2))
    gamma, beta, mean = np.array([[2.0, 3.0], [0.5, -1.0], [0.1, 0.2]])
    for variable, values in batch_norm_fills(norm, gamma, beta, mean, np.full(2, variance), 1e-5):
        variable.assign(values)
    given = np.array([[0.3, -0.7], [5.0, 0.0]])
    expected = gamma * (given - mean) / np.sqrt(variance + 1e-5) + beta
    np.testing.assert_allclose(keras.ops.convert_to_numpy(norm(given)), expected, rtol=1e-4)
