"""Keys of variables are the same in every process, and no two variables have one."""

import keras
import pytest
from keras import layers

from tests.training.recipes import load_tiny
from tfface.training import stages
from tfface.training.recognizer import build_recognizer
from tfface.training.variable_keys import model_keys, optimizer_keys


def make(tmp_path, *overrides):
    recipe = load_tiny(tmp_path, *overrides)
    recognizer = build_recognizer(recipe.model, (32, 32), 6, tmp_path, steps_per_epoch=3)
    stages.prepare(recognizer, recipe.training.stages[0], 1)
    return recognizer


# Those with layers, random states or weights that are named by Keras, or nested.
BACKBONES = [
    "{name: plain_cnn, channels: [4, 8]}",
    pytest.param("mobilenet_v2", marks=pytest.mark.slow),
    pytest.param("efficientnet_b0", marks=pytest.mark.slow),
    pytest.param("{name: vit_small, patch_size: 8}", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_second_model_has_the_same_keys(tmp_path, backbone):
    """Keras' counters have gone on by then, as they would in another process."""
    overrides = (f"model.backbone={backbone}", "training.stages.0.freeze=none")
    first, second = (make(tmp_path, *overrides) for _ in range(2))
    for keys in (model_keys, optimizer_keys):
        assert list(keys(first)) == list(keys(second))


def test_keys_are_paths(tmp_path):
    recognizer = make(tmp_path, "model.head.sample_rate=0.5", "training.stages.0.ema_momentum=0.7")
    assert list(model_keys(recognizer))[-4:] == [
        "model/neck_batch_norm/moving_variance",
        "model/head/centers/class_centers",
        "model/head/steps",
        "model/head/centers/seed_generator/seed_generator_state",
    ]
    of_centers = [key for key in optimizer_keys(recognizer) if "class_centers" in key]
    assert of_centers == [
        f"optimizer/head/centers/class_centers/{slot}"
        for slot in ("average", "momentum", "velocity")
    ]
    assert "optimizer/iteration" in optimizer_keys(recognizer)


def test_every_variable_has_a_key(tmp_path):
    recognizer = make(tmp_path)
    metrics = {id(variable) for variable in recognizer.metrics_variables}
    expected = [v for v in recognizer.variables if id(v) not in metrics]
    found = list(model_keys(recognizer).values())
    assert [id(v) for v in found] == [id(v) for v in expected]
    found = list(optimizer_keys(recognizer).values())
    assert [id(v) for v in found] == [id(v) for v in recognizer.optimizer.variables]


def network() -> keras.Model:
    """Nested layers with names from counters, and paths of which Keras makes one name of a slot."""
    inputs = keras.Input((4,))
    outputs = layers.Dense(4, name="a_b")(inputs)
    outputs = keras.Sequential([layers.Dense(4), layers.Dense(4)])(outputs)
    outputs = layers.Dense(4, name="dense_1")(outputs)
    outputs = layers.Dropout(0.5)(outputs)
    outputs = layers.Dense(3, name="twin")(outputs)
    # Keras gives layers of a functional model no prefix.
    nested = keras.Input((3,))
    outputs = keras.Model(nested, layers.Dense(2, name="twin")(nested))(outputs)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(), loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def test_names_that_are_there_twice():
    first, second = network(), network()
    keys = [*model_keys(first), *optimizer_keys(first)]
    assert keys == [*model_keys(second), *optimizer_keys(second)]
    assert len(set(keys)) == len(keys)
    kernels = [key.removeprefix("model/") for key in model_keys(first) if "kernel" in key]
    assert kernels == [
        "a_b/kernel",
        "sequential/dense/kernel",
        "sequential/dense_1/kernel",
        "dense/kernel",
        "twin/kernel",
        "twin/kernel#1",
    ]
    # Each slot is that of the variable with its key.
    for key, variable in model_keys(first).items():
        if variable.trainable and "twin" in key:
            slot = optimizer_keys(first)[key.replace("model/", "optimizer/") + "/momentum"]
            assert slot.shape == variable.shape
