"""The exponential moving average of the weights, which the optimizer keeps beside the weights.

After each step: average = momentum * average + (1 - momentum) * weight; after the first step of a
stage it is the weight itself. Statistics of batch norms are no weights that are trained: they stay
as they are, averages of what the norms have seen.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from tfface.training.recognizer import Recognizer


def enable_ema(optimizer: keras.optimizers.Optimizer, momentum: float) -> None:
    """Makes an optimizer that is not built yet keep the average."""
    optimizer.use_ema = True
    optimizer.ema_momentum = momentum
    # At the end of `fit` Keras would go on from the average; here that is the end of an epoch.
    optimizer.finalize_variable_values = _leave_as_they_are


def reset_ema(recognizer: Recognizer) -> None:
    """Lets the average be the weights as they are, once the optimizer is built.

    Keras begins with zeros, and the first steps in mixed_float16 may change nothing.
    """
    if averages := _averages(recognizer):
        _assign(averages, _values(recognizer.trainable_variables))


def apply_ema(recognizer: Recognizer) -> None:
    """Replaces the weights by their average, if there is one."""
    if averages := _averages(recognizer):
        _assign(recognizer.trainable_variables, _values(averages))


@contextmanager
def use_ema_weights(recognizer: Recognizer) -> Iterator[None]:
    """Within the block the weights are their average, if there is one."""
    if not _averages(recognizer):
        yield
        return
    weights = _values(recognizer.trainable_variables)
    try:
        apply_ema(recognizer)
        yield
    finally:
        _assign(recognizer.trainable_variables, weights)


def _averages(recognizer: Recognizer) -> list[keras.Variable]:
    """The average of each trainable variable; empty if the optimizer keeps none."""
    # mixed_float16 wraps the optimizer in one that scales the loss.
    optimizer = getattr(recognizer.optimizer, "inner_optimizer", recognizer.optimizer)
    return optimizer._model_variables_moving_average if optimizer.use_ema else []


def _values(variables: list[keras.Variable]) -> list:
    # Real copies: on JAX an array may be the memory of the variable, which training gives away. On
    # the variable's own devices, of which this process may have only some.
    return [keras.ops.copy(variable) for variable in variables]


def _assign(variables: list[keras.Variable], values: list) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _leave_as_they_are(variables) -> None:
    pass
