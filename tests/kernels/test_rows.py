"""Updates of some rows do to them what the whole update does, and leave the others alone."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from tfface.kernels import rows as rows_kernel
from tfface.kernels.rows import slots, take_rows, use_sparse_updates
from tfface.training.optimizers import OPTIMIZERS

NUM_ROWS, SIZE = 9, 4
ROWS = [np.array(rows, "int32") for rows in ([1, 4, 5], [0, 4, 8], [1, 2, 5])]
OPTIONS = [
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("sgd", {"momentum": 0.0, "weight_decay": 0.1}),
    ("adam", {}),
    ("adamw", {"weight_decay": 0.1}),
    ("rmsprop", {"momentum": 0.9}),
    ("adagrad", {}),
    ("lion", {"weight_decay": 0.1}),
]


def make(name: str, options: dict, variables: list, rows_of=None):
    optimizer = OPTIMIZERS[name](**options, schedule=0.05)
    if rows_of is not None:
        use_sparse_updates(optimizer, rows_of)
        if optimizer.weight_decay:
            optimizer.exclude_from_weight_decay(var_list=[rows_of])
    optimizer.build(variables)
    return optimizer


def row_gradient(rows, values):
    """As TensorFlow gives that of taken rows; JAX has none of its own for that."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.IndexedSlices(tf.constant(values), tf.constant(rows), (NUM_ROWS, SIZE))
    return dense_gradient(rows, values)


def dense_gradient(rows, values):
    whole = np.zeros((NUM_ROWS, SIZE), "float32")
    whole[rows] = values
    return ops.convert_to_tensor(whole)


def steps():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(NUM_ROWS, SIZE)).astype("float32")
    other = rng.normal(size=3).astype("float32")
    gradients = [rng.normal(size=(len(rows), SIZE)).astype("float32") for rows in ROWS]
    return weights, other, gradients


@pytest.mark.parametrize("as_gradient", [row_gradient, dense_gradient])
@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_each_step_is_that_of_a_variable_of_the_rows(name, options, as_gradient):
    weights, other, gradients = steps()
    variable, bias = keras.Variable(weights, name="centers"), keras.Variable(other, name="bias")
    optimizer = make(name, options, [bias, variable], variable)
    alone = keras.Variable(other)
    of_alone = make(name, options, [alone])
    state = [np.array(ops.convert_to_numpy(v)) for v in (variable, *slots(optimizer, variable))]
    for number, (rows, values) in enumerate(zip(ROWS, gradients, strict=True)):
        # Keras' own update of a variable that has these rows and no others.
        small = keras.Variable(weights[rows], name="centers")
        of_small = make(name, options, [small])
        of_small.iterations.assign(number)
        for slot, value in zip(slots(of_small, small), state[1:], strict=True):
            slot.assign(value[rows])
        small.assign(state[0][rows])
        of_small.apply([ops.convert_to_tensor(values)], [small])
        for value, part in zip(state, [small, *slots(of_small, small)], strict=True):
            value[rows] = ops.convert_to_numpy(part)

        optimizer.apply([ops.ones(3), as_gradient(rows, values)], [bias, variable])
        of_alone.apply([ops.ones(3)], [alone])
        found = [variable, *slots(optimizer, variable)]
        assert len(found) == len(state)
        for one, expected in zip(found, state, strict=True):
            np.testing.assert_allclose(ops.convert_to_numpy(one), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ops.convert_to_numpy(bias), ops.convert_to_numpy(alone))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a way of TensorFlow's")
def test_blocks_of_rows_are_all_rows(monkeypatch):
    import tensorflow as tf

    weights, _, _ = steps()
    rows = np.array([0, 2, 3, 4, 7], "int32")
    values = np.arange(20, dtype="float32").reshape(5, 4)
    found = []
    # All together; two blocks and one row more; five blocks.
    for num_bytes in (1 << 20, 32, 1):
        monkeypatch.setattr(rows_kernel, "_BLOCK_BYTES", num_bytes)
        variable = keras.Variable(weights)
        optimizer = make("adamw", {"weight_decay": 0.1}, [variable], variable)
        step = functools.partial(optimizer.apply, [row_gradient(rows, values)], [variable])
        in_graph = tf.function(step)
        for _ in range(2):
            in_graph()
        found.append([ops.convert_to_numpy(v) for v in (variable, *slots(optimizer, variable))])
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_gradient_is_clipped_by_the_length_of_all():
    weights, _, gradients = steps()
    found = []
    for as_gradient in (row_gradient, dense_gradient):
        variable = keras.Variable(weights)
        optimizer = OPTIMIZERS["sgd"](schedule=1.0, momentum=0.0)
        optimizer.global_clipnorm = 0.5
        use_sparse_updates(optimizer, variable)
        optimizer.build([variable])
        optimizer.apply([as_gradient(ROWS[0], gradients[0])], [variable])
        change = ops.convert_to_numpy(variable) - weights
        assert np.linalg.norm(change) == pytest.approx(0.5, rel=1e-5)
        found.append(change)
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_rows_are_taken_as_they_are():
    weights, _, _ = steps()
    found = take_rows(keras.Variable(weights), ROWS[1])
    np.testing.assert_array_equal(ops.convert_to_numpy(found), weights[ROWS[1]])
