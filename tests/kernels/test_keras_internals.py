"""Private names of Keras that are used do what they are used for."""

import keras
import numpy as np

from tfface.kernels.keras_internals import (
    DecayInUpdate,
    adam_moments,
    calls,
    consumers,
    ema_variables,
    flatten_layers,
    graph_nodes,
    sgd_momentum,
    sync_variables,
    with_seed_generator,
)


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


def test_the_graph_of_a_model():
    model = make()
    nodes = graph_nodes(model)
    assert [node.operation.name for node in nodes][1:] == ["inner", "top"]
    assert nodes[1].output_tensors[0] is nodes[2].input_tensors[0]
    assert [operation.name for operation in consumers(model.get_layer("inner"))] == ["top"]
    assert [call.output_tensors[0].shape for call in calls(model.get_layer("top"))] == [(None, 1)]
    assert graph_nodes(keras.layers.Dense(1)) == []


def test_slots_of_an_optimizer():
    variables = [keras.Variable([1.0]), keras.Variable([1.0, 2.0])]
    sgd, adam = keras.optimizers.SGD(momentum=0.5), keras.optimizers.Adam()
    for optimizer in (sgd, adam):
        optimizer.build(variables)
        optimizer.apply([keras.ops.ones((1,)), keras.ops.ones((2,))], variables)
    np.testing.assert_allclose(np.array(sgd_momentum(sgd, variables[1])), [-0.01, -0.01])
    first, second = adam_moments(adam, variables[1])
    np.testing.assert_allclose(np.array(first), [0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(np.array(second), [1e-3, 1e-3], rtol=1e-5)


def test_decay_is_left_to_the_update():
    class Decaying(DecayInUpdate, keras.optimizers.SGD):
        pass

    variable, kept = keras.Variable([1.0]), keras.Variable([1.0])
    optimizer = Decaying(1.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[kept])
    optimizer.build([variable, kept])
    assert (optimizer.decays(variable), optimizer.decays(kept)) == (True, False)
    optimizer.apply([keras.ops.zeros((1,))] * 2, [variable, kept])
    assert float(variable[0]) == 1.0


def test_a_layer_that_draws_by_given_seeds():
    seeds = keras.random.SeedGenerator(7)
    layer = with_seed_generator(keras.layers.RandomBrightness, seeds)(0.5)
    before = np.array(seeds.state)
    layer(np.ones((1, 4, 4, 3), "float32"), training=True)
    assert not np.array_equal(np.array(seeds.state), before)
