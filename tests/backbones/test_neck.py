"""The neck's adaptive pooling: that of PyTorch, for any size, and in saved models."""

import math

import keras
import numpy as np
import pytest

from tfface.backbones.neck import adaptive_average_pool

SIZES = pytest.mark.parametrize(
    ("rows", "columns"), [(1, 1), (3, 3), (4, 5), (7, 7), (7, 8), (13, 14), (20, 33)]
)


@SIZES
def test_windows_are_those_of_pytorch(rows, columns):
    features = np.random.default_rng(0).normal(size=(2, rows, columns, 3)).astype("float32")
    expected = np.empty((2, 7, 7, 3))
    for i in range(7):
        for j in range(7):
            expected[:, i, j] = features[
                :,
                i * rows // 7 : math.ceil((i + 1) * rows / 7),
                j * columns // 7 : math.ceil((j + 1) * columns / 7),
            ].mean((1, 2))
    made = keras.ops.convert_to_numpy(
        adaptive_average_pool(keras.ops.convert_to_tensor(features), 7)
    )
    np.testing.assert_allclose(made, expected, atol=1e-6)


@SIZES
def test_averages_are_those_of_pytorch_itself(rows, columns):
    torch = pytest.importorskip("torch", reason="PyTorch has the pooling to compare with")
    features = np.random.default_rng(0).normal(size=(2, rows, columns, 3)).astype("float32")
    channels_first = torch.from_numpy(features).permute(0, 3, 1, 2)
    expected = torch.nn.AdaptiveAvgPool2d(7)(channels_first).permute(0, 2, 3, 1).numpy()
    made = keras.ops.convert_to_numpy(
        adaptive_average_pool(keras.ops.convert_to_tensor(features), 7)
    )
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_it_saves_and_loads(tmp_path):
    images = keras.Input((8, 3, 2))
    model = keras.Model(images, adaptive_average_pool(images, 7))
    assert model.output_shape == (None, 7, 7, 2)
    model.save(tmp_path / "model.keras")
    features = np.random.default_rng(0).normal(size=(2, 8, 3, 2)).astype("float32")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(loaded(features)), keras.ops.convert_to_numpy(model(features))
    )
