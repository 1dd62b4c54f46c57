"""The exponential moving average (EMA) of the weights, which the optimizer keeps beside them.

After each step: average = momentum * average + (1 - momentum) * weight. After the first step of a
stage it is the weight itself. Batch norm statistics are not trainable: they stay as they are.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import keras

from tfface.kernels.keras_internals import ema_variables
from tfface.training.recognizer import Recognizer


class EmaWeights(keras.callbacks.Callback):
    """Validates a stage with the average of its weights, and ends the stage with it.

    It does nothing where the stage keeps no average.

    Args:
        recognizer: whose weights these are, also where a part of it is trained.
    """

    def __init__(self, recognizer: Recognizer):
        super().__init__()
        self._recognizer = recognizer
        self._swapped = ExitStack()

    def on_test_begin(self, logs=None):
        self._swapped.enter_context(use_ema_weights(self._recognizer))

    def on_test_end(self, logs=None):
        self._swapped.close()

    def on_train_end(self, logs=None):
        apply_ema(self._recognizer)


def enable_ema(optimizer: keras.optimizers.Optimizer, momentum: float) -> None:
    """Makes an optimizer that is not built yet keep the average."""
    optimizer.use_ema = True
    optimizer.ema_momentum = momentum
    # At the end of `fit` Keras would continue from the average; here that is the end of an epoch.
    optimizer.finalize_variable_values = _keep_weights


def reset_ema(recognizer: Recognizer) -> None:
    """Sets the average to the weights as they are, once the optimizer is built.

    Keras starts from zeros, and the first steps in mixed_float16 may change nothing.
    """
    if averages := ema_variables(recognizer.optimizer):
        _assign(averages, _copies(recognizer.trainable_variables))


def apply_ema(recognizer: Recognizer) -> None:
    """Replaces the weights by their average, if there is one."""
    if averages := ema_variables(recognizer.optimizer):
        _assign(recognizer.trainable_variables, _copies(averages))


@contextmanager
def use_ema_weights(recognizer: Recognizer) -> Iterator[None]:
    """Within the block the weights are their average, if there is one."""
    if not ema_variables(recognizer.optimizer):
        yield
        return
    weights = _copies(recognizer.trainable_variables)
    try:
        apply_ema(recognizer)
        yield
    finally:
        _assign(recognizer.trainable_variables, weights)


def _copies(variables: list[keras.Variable]) -> list:
    # Real copies: on JAX an array may be the memory of the variable, which training gives away. On
    # the variable's own devices, of which this process may have only some.
    return [keras.ops.copy(variable) for variable in variables]


def _assign(variables: list[keras.Variable], values: list) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _keep_weights(variables) -> None:
    pass
