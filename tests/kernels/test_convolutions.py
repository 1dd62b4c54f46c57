"""Fast strided convolutions in bfloat16 give what Keras' own give: outputs and gradients."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from tests.contracts.gradients import gradient
from tfface import onednn
from tfface.kernels.convolutions import use_fast_convolutions

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only on TensorFlow"
)

SIZE = (7, 8, 6)
IMAGES = np.random.default_rng(0).normal(size=(3, *SIZE)).astype("float32")

MADE = {
    "one pixel": lambda dtype: layers.Conv2D(4, 1, strides=2, dtype=dtype),
    "one pixel, same": lambda dtype: layers.Conv2D(
        4, 1, strides=(2, 3), padding="same", use_bias=False, dtype=dtype
    ),
    "depthwise": lambda dtype: layers.DepthwiseConv2D(
        3, strides=2, padding="same", activation="tanh", dtype=dtype
    ),
    "depthwise, multiplied": lambda dtype: layers.DepthwiseConv2D(
        3, strides=2, depth_multiplier=2, use_bias=False, dtype=dtype
    ),
}


@pytest.fixture(autouse=True)
def with_onednn(monkeypatch):
    monkeypatch.setattr(onednn, "is_on", lambda: True)


def make(name: str, dtype: str, *, fast: bool) -> keras.Model:
    keras.utils.set_random_seed(1)
    inner = keras.Sequential([keras.Input(SIZE), MADE[name](dtype)])
    images = keras.Input(SIZE)
    model = keras.Model(images, layers.Activation("linear", dtype="float32")(inner(images)))
    if fast:
        use_fast_convolutions(model)
    return model


@pytest.mark.parametrize("name", MADE)
def test_equals_keras_own(name):
    found = []
    for dtype, fast in (("float32", False), ("mixed_bfloat16", False), ("mixed_bfloat16", True)):
        model = make(name, dtype, fast=fast)
        layer = model.layers[1].layers[-1]
        assert bool({"call", "convolution_op"} & set(vars(layer))) == fast
        outputs = model(IMAGES)
        signs = np.cos(np.arange(np.prod(outputs.shape), dtype="float32")).reshape(outputs.shape)

        def loss(images, model=model, signs=signs):
            return ops.sum(model(images) * signs)

        by_kernel = gradient(
            lambda kernel, layer=layer, loss=loss: _with_kernel(layer, kernel, loss),
            layer.kernel.numpy(),
        )
        found.append([ops.convert_to_numpy(outputs), gradient(loss, IMAGES), by_kernel])
    for exact, plain, fast in zip(*found, strict=True):
        assert np.abs(exact).max() > 0.1
        scale = np.abs(exact).max()
        np.testing.assert_allclose(fast, plain, atol=0.02 * scale)
        # No worse than bfloat16 is anyway.
        assert np.abs(fast - exact).mean() <= 1.2 * np.abs(plain - exact).mean() + 1e-6 * scale


def _with_kernel(layer: layers.Layer, kernel, loss):
    """The loss as a function of a layer's kernel."""
    mapping = keras.StatelessScope([(layer.kernel, kernel)])
    with mapping:
        return loss(IMAGES)


@pytest.mark.parametrize(
    ("layer", "is_fast"),
    [
        (layers.Conv2D(2, 1, strides=2, dtype="mixed_bfloat16"), True),
        (layers.Conv2D(2, 1, strides=2, dtype="float32"), False),
        (layers.Conv2D(2, 1, dtype="mixed_bfloat16"), False),
        (layers.Conv2D(2, 3, strides=2, dtype="mixed_bfloat16"), False),
        (layers.Conv2D(2, 1, strides=2, groups=2, dtype="mixed_bfloat16"), False),
        (layers.DepthwiseConv2D(3, strides=2, dtype="mixed_bfloat16"), True),
        (layers.DepthwiseConv2D(3, dtype="mixed_bfloat16"), False),
        (layers.DepthwiseConv2D(3, strides=2, dtype="mixed_float16"), False),
    ],
)
def test_only_slow_ones_are_changed(layer, is_fast):
    use_fast_convolutions(keras.Sequential([keras.Input(SIZE), layer]))
    assert bool({"call", "convolution_op"} & set(vars(layer))) == is_fast


def test_is_saved_as_plain_layers(tmp_path):
    model = make("depthwise", "mixed_bfloat16", fast=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not vars(loaded.layers[1].layers[-1]).get("call")
    np.testing.assert_array_equal(model(IMAGES), loaded(IMAGES))
