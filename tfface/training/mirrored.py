"""Several GPUs of one machine on TensorFlow: Keras has no distribution of its own there."""

import functools

import tensorflow as tf


# A second one in a process would send under the numbers of the first.
@functools.cache
def mirrored_strategy() -> tf.distribute.MirroredStrategy:
    """Returns the strategy that trains on every device of this machine.

    Where TensorFlow sees no GPU, these are its (virtual) CPUs.
    """
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])
