"""What this package uses of Keras that is not in its public API; the only place for it in training.

Tried with Keras 3.15 on TensorFlow 2.21 and JAX.
"""

import keras


def flatten_layers(model: keras.Model) -> list[keras.Layer]:
    """Returns a model and all layers in it, at any depth."""
    return list(model._flatten_layers())


def ema_variables(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """Returns the moving average of each trainable variable; empty if the optimizer keeps none."""
    # mixed_float16 wraps the optimizer in one that scales the loss.
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return optimizer._model_variables_moving_average if optimizer.use_ema else []


def sync_variables(model: keras.Model) -> None:
    """Brings the variables of a model that is in `fit` up to date, which on JAX they are not."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()
