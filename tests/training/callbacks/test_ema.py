"""The moving average of the weights: its values, and when the model has them."""

import keras
import numpy as np
import pytest

from tests.training.recipes import load_tiny
from tfface.training import stages
from tfface.training.callbacks.ema import apply_ema, use_ema_weights
from tfface.training.recognizer import build_recognizer


@pytest.fixture
def make(tmp_path):
    def make(*overrides, precision="float32"):
        recipe = load_tiny(tmp_path, "training.stages.0.freeze=none", *overrides)
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(precision)
        recognizer = build_recognizer(recipe.model, (32, 32), 6, tmp_path)
        keras.config.set_dtype_policy(before)
        stages.prepare(recognizer, recipe.training.stages[0], 1)
        return recognizer

    return make


def train_a_step(recognizer) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype("uint8")
    recognizer.fit(images, np.arange(8, dtype="int32") % 6, batch_size=8, verbose=0)


def weights(recognizer) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(v) for v in recognizer.trainable_variables]


def assert_close(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("precision", "num_steps"), [("float32", 3), ("mixed_float16", 6)])
def test_values(make, precision, num_steps):
    recognizer = make("training.stages.0.ema_momentum=0.8", precision=precision)
    old = expected = weights(recognizer)
    num_changes = 0
    for _ in range(num_steps):
        train_a_step(recognizer)
        new = weights(recognizer)
        # The first steps in mixed_float16 only look for a scale of the loss.
        if not np.array_equal(old[0], new[0]):
            momentum = 0.8 if num_changes else 0.0
            expected = [
                momentum * average + (1 - momentum) * weight
                for average, weight in zip(expected, new, strict=True)
            ]
            num_changes += 1
        with use_ema_weights(recognizer):
            assert_close(weights(recognizer), expected)
        # Training goes on from the weights themselves.
        for one, other in zip(weights(recognizer), new, strict=True):
            np.testing.assert_array_equal(one, other)
        old = new
    assert num_changes > 1
    assert not np.allclose(expected[0], new[0], rtol=1e-5)
    apply_ema(recognizer)
    assert_close(weights(recognizer), expected)


def test_an_error_in_the_block_leaves_the_weights(make):
    recognizer = make("training.stages.0.ema_momentum=0.8")
    train_a_step(recognizer)
    before = weights(recognizer)
    with pytest.raises(KeyboardInterrupt), use_ema_weights(recognizer):
        raise KeyboardInterrupt
    assert_close(weights(recognizer), before)


def test_without_it_nothing_changes(make):
    recognizer = make()
    train_a_step(recognizer)
    before = weights(recognizer)
    with use_ema_weights(recognizer):
        assert_close(weights(recognizer), before)
    apply_ema(recognizer)
    assert_close(weights(recognizer), before)
