"""The exponential moving average of the weights, which the optimizer keeps beside the weights.

After each step: average = momentum * average + (1 - momentum) * weight; after the first step of a
stage it is the weight itself. Statistics of batch norms are no weights that are trained: they stay
as they are, averages of what the norms have seen.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from tfface.training.recognizer import Recognizer


def keep_average(optimizer: keras.optimizers.Optimizer, momentum: float) -> None:
    """Makes an optimizer that is not built yet keep the average."""
    optimizer.use_ema = True
    optimizer.ema_momentum = momentum
    # At the end of `fit` Keras would go on from the average; here that is the end of an epoch.
    optimizer.finalize_variable_values = _leave_as_they_are


def start_average(recognizer: Recognizer) -> None:
    """Lets the average be the weights as they are, once the optimizer is built.

    Keras begins with zeros, and the first steps in mixed_float16 may change nothing.
    """
    optimizer = _optimizer(recognizer)
    if optimizer.use_ema:
        for average, weight in zip(
            optimizer._model_variables_moving_average, _copies(recognizer), strict=True
        ):
            average.assign(weight)


def take_average(recognizer: Recognizer) -> None:
    """Replaces the weights by their average, if there is one."""
    optimizer = _optimizer(recognizer)
    type(optimizer).finalize_variable_values(optimizer, recognizer.trainable_variables)


@contextmanager
def averaged(recognizer: Recognizer) -> Iterator[None]:
    """Within the block the weights are their average, if there is one."""
    if not _optimizer(recognizer).use_ema:
        yield
        return
    weights = _copies(recognizer)
    take_average(recognizer)
    try:
        yield
    finally:
        for variable, weight in zip(recognizer.trainable_variables, weights, strict=True):
            variable.assign(weight)


def _optimizer(recognizer: Recognizer) -> keras.optimizers.Optimizer:
    """The optimizer itself: mixed_float16 wraps it in one that scales the loss."""
    return getattr(recognizer.optimizer, "inner_optimizer", recognizer.optimizer)


def _copies(recognizer: Recognizer) -> list[np.ndarray]:
    # Real copies: on JAX an array may be the memory of the variable, which training gives away.
    return [np.array(keras.ops.convert_to_numpy(v)) for v in recognizer.trainable_variables]


def _leave_as_they_are(variables) -> None:
    pass
