"""Optimizers of `kernels.optimizers` do what Keras' own do."""

import keras
import numpy as np
import pytest

from tfface.kernels import optimizers as fast_optimizers

KERAS = {
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
}
SCHEDULE = keras.optimizers.schedules.CosineDecay(0.1, 10)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sgd", {"momentum": 0.9}),
        ("sgd", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
        ("sgd", {"momentum": 0.0}),
        ("sgd", {"momentum": 0.9, "global_clipnorm": 0.5, "use_ema": True}),
        ("adam", {"beta_1": 0.8, "epsilon": 1e-3}),
        ("adam", {"amsgrad": True}),
        ("adamw", {"weight_decay": 0.1}),
    ],
)
def test_same_as_keras(name, options):
    rng = np.random.default_rng(0)
    start = [rng.normal(size=shape).astype("float32") for shape in ((7, 5), (3,))]
    gradients = [[rng.normal(size=w.shape).astype("float32") for w in start] for _ in range(6)]
    found = []
    for make in (getattr(fast_optimizers, name), KERAS[name]):
        weights = [keras.Variable(value) for value in start]
        optimizer = make(SCHEDULE, **options)
        optimizer.build(weights)
        for step in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(g) for g in step], weights)
        variables = [*weights, *optimizer.variables]
        found.append([np.asarray(keras.ops.convert_to_numpy(v), "float64") for v in variables])
    assert len(found[0]) == len(found[1])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
