"""Questions about the device and the backend, and what only one backend can answer."""

import keras
import numpy as np


def is_tf_cpu() -> bool:
    """Returns whether Keras runs on TensorFlow without an accelerator.

    Only there the forms of this room pay: elsewhere a compiler, or an accelerator's own kernels,
    fuse what Keras writes.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")


def numpy_view(variable: keras.Variable) -> np.ndarray:
    """Returns a variable's value, without a copy where the backend allows it.

    Read it before the variable changes, then drop it. On a CPU it is the variable's own memory: as
    long as you hold it, TensorFlow copies the variable before it changes it.
    """
    if keras.backend.backend() != "tensorflow":
        return np.asarray(variable)
    import tensorflow as tf

    with tf.device("CPU:0"):
        return np.asarray(memoryview(tf.identity(variable.value)))


def make_tensorflow_deterministic() -> None:
    """Makes TensorFlow replace or refuse nondeterministic operations; this can't be undone."""
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
