"""All that this package uses of Keras that is not in its public API.

Tried with Keras 3.15 on TensorFlow 2.21 and JAX. `tests/kernels/test_keras_internals.py` tests each
function, and that no other file uses private names.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
from keras.src.utils import file_utils

# ------------------------------------------------------------------------------ layers and graphs


def flatten_layers(model: keras.Model) -> list[keras.Layer]:
    """Returns a model and all layers in it, at any depth."""
    return list(model._flatten_layers())


def graph_nodes(model: keras.Model) -> list[Any]:
    """Returns the calls of layers in a model, in an order in which they can be made.

    Each has `operation`, `input_tensors` and `output_tensors`. Only models with a graph of layers
    have any.
    """
    by_depth = getattr(model, "_nodes_by_depth", {})
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def calls(operation: keras.Operation) -> list[Any]:
    """Returns all calls of a layer or operation, as `graph_nodes` does those in a model."""
    return list(operation._inbound_nodes)


def consumers(operation: keras.Operation) -> list[keras.Operation]:
    """Returns the layers and operations that take the output of one."""
    return [node.operation for node in operation._outbound_nodes]


# -------------------------------------------------------------------------------------- optimizers


def ema_variables(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """Returns the moving average of each trainable variable; empty if the optimizer keeps none."""
    # mixed_float16 wraps the optimizer in one that scales the loss.
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return optimizer._model_variables_moving_average if optimizer.use_ema else []


def sgd_momentum(optimizer: keras.optimizers.SGD, variable: keras.Variable) -> keras.Variable:
    """Returns the momentum of a variable, as Keras knows it or as TensorFlow does."""
    return optimizer.momentums[optimizer._get_variable_index(variable)]


def adam_moments(
    optimizer: keras.optimizers.Adam, variable: keras.Variable
) -> tuple[keras.Variable, keras.Variable]:
    """Returns the running means of a variable's gradient and of its square."""
    index = optimizer._get_variable_index(variable)
    return optimizer._momentums[index], optimizer._velocities[index]


class DecayInUpdate:
    """For an optimizer that applies weight decay in its own `update_step`.

    Put it before the class of Keras, which would decay all variables in a pass before the updates.
    """

    def _apply_weight_decay(self, variables):
        """Does nothing: `update_step` applies it."""

    def decays(self, variable: keras.Variable) -> bool:
        """Returns whether weight decay applies to a variable."""
        return self.weight_decay is not None and self._use_weight_decay(variable)


# -------------------------------------------------------------------------------- fit, files, seeds
def sync_variables(model: keras.Model) -> None:
    """Brings the variables of a model that is in `fit` up to date, which on JAX they are not."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()


@contextmanager
def instead_of_download(path: Path) -> Iterator[None]:
    """Within the block, networks of `keras.applications` load a file instead of a download.

    Keras builds some networks in another way for their published weights (EfficientNet rescales the
    pixels once more), so these must be loaded by Keras itself, and there is no public API to do so
    from a file.
    """
    get_file = file_utils.get_file
    file_utils.get_file = lambda *_, **__: str(path)
    try:
        yield
    finally:
        file_utils.get_file = get_file


def with_seed_generator(kind: type[keras.Layer], seeds: keras.random.SeedGenerator) -> type:
    """Returns a subclass of a preprocessing layer that draws by a given generator."""
    return type(kind.__name__, (kind,), {"_get_seed_generator": lambda *_: seeds})
