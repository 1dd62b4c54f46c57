"""Gradients of a Keras function on whichever backend is running."""

import keras
import numpy as np


def gradient(function, values: np.ndarray) -> np.ndarray:
    """Returns d function / d values for a function from one tensor to a scalar."""
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(function)(values))
    import tensorflow as tf

    tensor = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        result = function(tensor)
    return tape.gradient(result, tensor).numpy()
