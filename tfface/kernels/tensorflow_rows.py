"""Optimizers' updates of some rows of a variable, by TensorFlow.

The formulas are Keras' own. Rows of weights and moments are taken, changed in one pass, and put
back; the rest of the variable is not read.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfface.kernels.placing import is_on_tensorflow_cpu

# Rows that are changed together: what is taken of them stays in a processor's cache meanwhile,
# which is several times as fast as taking all rows, changing all, and putting all back.
_BLOCK_BYTES = 1 << 20


def update(
    optimizer: keras.optimizers.Optimizer,
    variable: keras.Variable,
    gradient: tf.Tensor | tf.IndexedSlices,
    learning_rate,
) -> bool:
    """Updates the rows that a gradient is of; returns whether there is a formula for that.

    Args:
        gradient: only `IndexedSlices` are of some rows.
    """
    formula, slots = _formula_and_slots(optimizer, variable)
    # With several replicas their rows come one after the other, and the same row may come twice.
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    if formula is None or several or not isinstance(gradient, tf.IndexedSlices):
        return False
    changed = [variable.value, *(slot.value for slot in slots)]
    rate = tf.cast(learning_rate, variable.dtype)
    kept = 1 - rate * (optimizer.weight_decay or 0.0)
    step = tf.cast(optimizer.iterations + 1, variable.dtype)

    # Compiled, the formula is one pass over the rows.
    @tf.function(jit_compile=True, autograph=False)
    def compiled(gradient, rate, kept, step, weights, *slots):
        return formula(optimizer, gradient, rate, step, weights * kept, *slots)

    def change(rows: tf.Tensor, of_rows: tf.Tensor) -> None:
        taken = [tf.gather(one, rows) for one in changed]
        for one, value in zip(changed, compiled(of_rows, rate, kept, step, *taken), strict=True):
            one.scatter_update(tf.IndexedSlices(value, rows))

    _in_blocks(change, gradient.indices, tf.cast(gradient.values, variable.dtype))
    return True


def _in_blocks(change: Callable, rows: tf.Tensor, values: tf.Tensor) -> None:
    """Calls `change` with some rows and their values after the others, so that all are changed."""
    num_rows, width = values.shape
    block = max(1, _BLOCK_BYTES // (width * values.dtype.size))
    if num_rows is None or num_rows <= block or not is_on_tensorflow_cpu():
        change(rows, values)
        return

    def one_block(start: tf.Tensor) -> tf.Tensor:
        change(tf.slice(rows, [start], [block]), tf.slice(values, [start, 0], [block, width]))
        return start + block

    num_whole = num_rows // block * block
    tf.while_loop(lambda start: start < num_whole, one_block, [0], parallel_iterations=1)
    if num_whole < num_rows:
        change(rows[num_whole:], values[num_whole:])


def _formula_and_slots(optimizer, variable: keras.Variable):
    place = optimizer._get_variable_index(variable)
    if isinstance(optimizer, keras.optimizers.SGD):
        return _sgd, [optimizer.momentums[place]] if optimizer.momentum else []
    if isinstance(optimizer, keras.optimizers.Adam) and not optimizer.amsgrad:
        return _adam, [optimizer._momentums[place], optimizer._velocities[place]]
    return None, []


def _sgd(optimizer, gradient, rate, step, weights, *momentum):
    change = -rate * gradient
    if not momentum:
        return (weights + change,)
    momentum = optimizer.momentum * momentum[0] + change
    if optimizer.nesterov:
        return weights + optimizer.momentum * momentum + change, momentum
    return weights + momentum, momentum


def _adam(optimizer, gradient, rate, step, weights, momentum, velocity):
    beta_1, beta_2 = optimizer.beta_1, optimizer.beta_2
    rate = rate * tf.sqrt(1 - tf.pow(beta_2, step)) / (1 - tf.pow(beta_1, step))
    momentum = momentum + (gradient - momentum) * (1 - beta_1)
    velocity = velocity + (tf.square(gradient) - velocity) * (1 - beta_2)
    return weights - rate * momentum / (tf.sqrt(velocity) + optimizer.epsilon), momentum, velocity
