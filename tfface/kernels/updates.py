"""Optimizers whose update is one pass over weights and moments."""

import keras


def sgd(*arguments, **options) -> keras.optimizers.Optimizer:
    """keras.optimizers.SGD; its arguments."""
    return _class("SGD")(*arguments, **options)


def adam(*arguments, **options) -> keras.optimizers.Optimizer:
    """keras.optimizers.Adam; its arguments."""
    return _class("Adam")(*arguments, **options)


def adamw(*arguments, **options) -> keras.optimizers.Optimizer:
    """keras.optimizers.AdamW; its arguments."""
    return _class("AdamW")(*arguments, **options)


def _class(name: str) -> type[keras.optimizers.Optimizer]:
    if keras.backend.backend() == "tensorflow":
        from tfface.kernels import tensorflow_updates

        return getattr(tensorflow_updates, name)
    return getattr(keras.optimizers, name)
