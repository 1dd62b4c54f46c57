"""Where a model computes."""

import keras


def is_on_tensorflow_cpu() -> bool:
    """Returns whether a model computes on TensorFlow without an accelerator.

    Elsewhere a compiler, or an accelerator's own operations, fuse what Keras writes.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")
