"""Private names of Keras that are used do what they are used for."""

import keras
import numpy as np

from tfface.kernels.keras_internals import ema_variables, flatten_layers, sync_variables


def make() -> keras.Model:
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="deep")], name="inner")
    inputs = keras.Input((2,))
    return keras.Model(inputs, keras.layers.Dense(1, name="top")(inner(inputs)), name="outer")


def test_layers_at_any_depth():
    names = {layer.name for layer in flatten_layers(make())}
    assert names >= {"outer", "inner", "deep", "top"}


def test_moving_averages_of_an_optimizer_and_of_a_wrapped_one():
    variable = keras.Variable([1.0, 2.0])
    plain = keras.optimizers.SGD()
    plain.build([variable])
    assert ema_variables(plain) == []
    for wrap in (lambda optimizer: optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = wrap(keras.optimizers.SGD(use_ema=True))
        optimizer.build([variable])
        [average] = ema_variables(optimizer)
        assert average.shape == variable.shape


def test_variables_within_fit():
    model = make()
    model.compile("sgd", "mse")
    before = model.get_weights()
    changed = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            sync_variables(model)
            values = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
            changed.append(not np.array_equal(values[0], before[0]))

    model.fit(np.ones((4, 2)), np.full((4, 1), 9.0), batch_size=2, verbose=0, callbacks=[Look()])
    assert changed == [True, True]
