"""Convolutions in groups against their definition, outputs and gradients."""

import keras
import numpy as np
import pytest

from tfface.backbones import BACKBONES
from tfface.backbones.torch_layers import grouped_conv


@pytest.mark.parametrize("strides", [1, 2])
def test_convolution_in_groups_and_its_gradient(strides):
    """TensorFlow has no gradient of Keras' own on a CPU."""
    keras.utils.set_random_seed(1)
    images = keras.Input((7, 5, 8))
    features = grouped_conv(images, 12, 3, "conv", groups=4, strides=strides, padding=1)
    model = keras.Model(images, features)
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(4, 7, 5, 8)).astype("float32")
    wanted = rng.normal(size=(4, *model.output_shape[1:])).astype("float32")
    [kernel] = model.get_layer("conv").get_weights()

    windows = windows_of(inputs, strides)
    outputs = np.einsum("bhwpgi,pgio->bhwgo", windows, kernel).reshape(wanted.shape)
    np.testing.assert_allclose(model.predict_on_batch(inputs), outputs, atol=1e-5)

    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(inputs, wanted)
    errors = 2 * (outputs - wanted).reshape(*wanted.shape[:3], 4, 3) / wanted.size
    gradient = np.einsum("bhwpgi,bhwgo->pgio", windows, errors)
    after = model.get_layer("conv").get_weights()[0]
    np.testing.assert_allclose(kernel - after, gradient, atol=1e-5)


def windows_of(inputs, strides):
    """[batch, rows, columns, 9 places, 4 groups, 2 channels], padded by 1."""
    padded = np.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows, columns = ((n - 1) // strides + 1 for n in inputs.shape[1:3])
    windows = np.empty((len(inputs), rows, columns, 9, 4, 2), "float32")
    for row in range(rows):
        for column in range(columns):
            window = padded[:, row * strides :, column * strides :][:, :3, :3]
            windows[:, row, column] = window.reshape(-1, 9, 4, 2)
    return windows


def test_depthwise_kernels_start_as_those_of_pytorch():
    """kaiming_normal_ with fan_out counts a depthwise convolution's channels: 2 / (k * k * C)."""
    keras.utils.set_random_seed(0)
    network = BACKBONES["mobilefacenet"](image_size=(112, 112)).network
    layers = [x for x in network.layers if isinstance(x, keras.layers.DepthwiseConv2D)]
    assert len(layers) > 10
    for layer in layers:
        kernel = layer.get_weights()[0]
        assert kernel.std() == pytest.approx(np.sqrt(2 / kernel.size), rel=0.15)
