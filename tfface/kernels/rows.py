"""Steps of training that look at some rows of a variable: taking them, and changing only them."""

import functools

import keras
from keras import ops


def take_rows(variable: keras.Variable, rows):
    """Returns the rows of a variable: [len(rows), ...], without a copy of the whole.

    Args:
        rows: int32 [n], distinct.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # Of the variable itself: a tensor of it is a copy, once rows have been changed in place.
        return tf.gather(variable.value, rows)
    return ops.take(variable, rows, axis=0)


def update_only_rows(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> None:
    """Lets an optimizer change only those rows of a variable that a step has looked at.

    Other rows, and what the optimizer keeps for them (momentum), stay as they are, and its weight
    decay is applied to the rows alone. That is what Partial-FC does (An et al., CVPR 2022,
    arXiv:2203.15565), and what keeps a step from passing over all rows.

    On TensorFlow, SGD, Adam and AdamW touch nothing but the rows that `take_rows` took. Elsewhere,
    and with the other optimizers, the gradient is as large as the variable, and rows whose gradient
    is all zero are those that stay.

    Args:
        optimizer: not built yet.
        variable: one of those that it will be built with; excluded from its own weight decay.
    """
    optimizer.update_step = functools.partial(
        _update_step, optimizer, optimizer.update_step, variable
    )


def _update_step(optimizer, update_whole, of_rows, gradient, variable, learning_rate) -> None:
    # TensorFlow's optimizers give its variable in place of Keras'.
    if variable is not of_rows and variable is not of_rows.value:
        update_whole(gradient, variable, learning_rate)
        return
    if keras.backend.backend() == "tensorflow":
        from tfface.kernels import tensorflow_rows

        if tensorflow_rows.update(optimizer, of_rows, gradient, learning_rate):
            return
        gradient = ops.convert_to_tensor(gradient)
    touched = ops.any(ops.not_equal(gradient, 0), axis=-1, keepdims=True)
    changed = [of_rows, *slots(optimizer, of_rows)]
    before = [ops.copy(ops.convert_to_tensor(one)) for one in changed]
    if optimizer.weight_decay:
        kept = 1 - ops.cast(learning_rate * optimizer.weight_decay, of_rows.dtype)
        of_rows.assign(ops.convert_to_tensor(of_rows) * kept)
    update_whole(gradient, variable, learning_rate)
    for one, old in zip(changed, before, strict=True):
        one.assign(ops.where(touched, ops.convert_to_tensor(one), old))


def slots(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> list[keras.Variable]:
    """Returns what an optimizer keeps for a variable, each of the variable's shape."""
    name = variable.path.replace("/", "_") + "_"
    return [
        slot
        for slot in optimizer.variables
        if slot.name.startswith(name) and slot.shape == variable.shape
    ]
