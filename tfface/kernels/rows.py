"""Sparse updates: training steps that read and change only some rows of a variable."""

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tfface.kernels.device import is_tf_cpu
from tfface.kernels.keras_internals import adam_moments, sgd_momentum
from tfface.typing import Tensor

# Rows that are changed together stay in the processor's cache meanwhile, which is several times as
# fast as gathering all rows, changing all, and scattering all.
_BLOCK_BYTES = 1 << 20


def take_rows(variable: keras.Variable, rows: Tensor) -> Tensor:
    """Returns rows of a variable, [len(rows), ...], without a copy of the whole.

    Args:
        rows: int32 [n], distinct.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # From the variable itself: once rows have been changed in place, its tensor is a copy.
        return tf.gather(variable.value, rows)
    return ops.take(variable, rows, axis=0)


def use_sparse_updates(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> None:
    """Makes an optimizer change only those rows of a variable that a step has read.

    All other rows and their slots (momentum) stay as they are, and weight decay is applied to the
    read rows only. Partial FC does the same (An et al., CVPR 2022, arXiv:2203.15565): a step then
    need not pass over all rows.

    On TensorFlow, SGD, Adam and AdamW touch nothing but the rows that `take_rows` returned. On
    other backends, and with other optimizers, the gradient is as large as the variable, and rows
    whose gradient is all zero stay.

    Args:
        optimizer: not built yet.
        variable: one that the optimizer will be built with; exclude it from weight decay.

    Example:
        >>> import keras
        >>> from tfface.kernels.rows import use_sparse_updates
        >>> table = keras.Variable([[1.0], [1.0], [1.0]])
        >>> optimizer = keras.optimizers.SGD(0.5, weight_decay=0.1)
        >>> use_sparse_updates(optimizer, table)
        >>> optimizer.exclude_from_weight_decay(var_list=[table])
        >>> optimizer.build([table])
        >>> optimizer.apply([keras.ops.convert_to_tensor([[1.0], [0.0], [1.0]])], [table])
        >>> keras.ops.convert_to_numpy(table).ravel().tolist()
        [0.44999998807907104, 1.0, 0.44999998807907104]
    """
    optimizer.update_step = functools.partial(
        _update_step, optimizer, optimizer.update_step, variable
    )


def _update_step(optimizer, update_all, sparse, gradient, variable, learning_rate) -> None:
    # On TensorFlow, optimizers pass its variable in place of Keras'.
    if variable is not sparse and variable is not sparse.value:
        update_all(gradient, variable, learning_rate)
        return
    if keras.backend.backend() == "tensorflow":
        if _update_rows(optimizer, sparse, gradient, learning_rate):
            return
        gradient = ops.convert_to_tensor(gradient)
    touched = ops.any(ops.not_equal(gradient, 0), axis=-1, keepdims=True)
    changed = [sparse, *slots(optimizer, sparse)]
    before = [ops.copy(ops.convert_to_tensor(one)) for one in changed]
    if optimizer.weight_decay:
        kept = 1 - ops.cast(learning_rate * optimizer.weight_decay, sparse.dtype)
        sparse.assign(ops.convert_to_tensor(sparse) * kept)
    update_all(gradient, variable, learning_rate)
    for one, old in zip(changed, before, strict=True):
        one.assign(ops.where(touched, ops.convert_to_tensor(one), old))


def slots(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> list[keras.Variable]:
    """Returns what an optimizer keeps for a variable (momentum, ...), each of its shape."""
    name = variable.path.replace("/", "_") + "_"
    return [
        slot
        for slot in optimizer.variables
        if slot.name.startswith(name) and slot.shape == variable.shape
    ]


# ------------------------------------------------------------------------------------- TensorFlow
def _update_rows(
    optimizer: keras.optimizers.Optimizer,
    variable: keras.Variable,
    gradient: Any,
    learning_rate: Any,
) -> bool:
    """Updates the rows of a sparse gradient by Keras' formulas; returns whether it could.

    Rows of weights and slots are gathered, changed in one pass, and scattered; the rest of the
    variable is not read.

    Args:
        gradient: tf.Tensor, or tf.IndexedSlices, which alone is sparse.
    """
    import tensorflow as tf

    formula, state = _formula_and_state(optimizer, variable)
    # Several replicas give their rows one after the other, and a row may occur twice.
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    if formula is None or several or not isinstance(gradient, tf.IndexedSlices):
        return False
    changed = [variable.value, *(slot.value for slot in state)]
    rate = tf.cast(learning_rate, variable.dtype)
    kept = 1 - rate * (optimizer.weight_decay or 0.0)
    step = tf.cast(optimizer.iterations + 1, variable.dtype)

    # Compiled, the formula is one pass over the rows.
    @tf.function(jit_compile=True, autograph=False)
    def compiled(gradient, rate, kept, step, weights, *state):
        return formula(optimizer, gradient, rate, step, weights * kept, *state)

    def change(rows: Tensor, gradient: Tensor) -> None:
        taken = [tf.gather(one, rows) for one in changed]
        for one, value in zip(changed, compiled(gradient, rate, kept, step, *taken), strict=True):
            one.scatter_update(tf.IndexedSlices(value, rows))

    _in_blocks(change, gradient.indices, tf.cast(gradient.values, variable.dtype))
    return True


def _in_blocks(change: Callable, rows: Tensor, values: Tensor) -> None:
    """Calls `change` with consecutive blocks of rows and their values."""
    import tensorflow as tf

    num_rows, width = values.shape
    block = max(1, _BLOCK_BYTES // (width * values.dtype.size))
    if num_rows is None or num_rows <= block or not is_tf_cpu():
        change(rows, values)
        return

    def one_block(start: Tensor) -> Tensor:
        change(tf.slice(rows, [start], [block]), tf.slice(values, [start, 0], [block, width]))
        return start + block

    num_whole = num_rows // block * block
    tf.while_loop(lambda start: start < num_whole, one_block, [0], parallel_iterations=1)
    if num_whole < num_rows:
        change(rows[num_whole:], values[num_whole:])


def _formula_and_state(optimizer, variable: keras.Variable):
    if isinstance(optimizer, keras.optimizers.SGD):
        return _sgd, [sgd_momentum(optimizer, variable)] if optimizer.momentum else []
    if isinstance(optimizer, keras.optimizers.Adam) and not optimizer.amsgrad:
        return _adam, adam_moments(optimizer, variable)
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
    rate = rate * ops.sqrt(1 - ops.power(beta_2, step)) / (1 - ops.power(beta_1, step))
    momentum = momentum + (gradient - momentum) * (1 - beta_1)
    velocity = velocity + (ops.square(gradient) - velocity) * (1 - beta_2)
    return weights - rate * momentum / (ops.sqrt(velocity) + optimizer.epsilon), momentum, velocity
