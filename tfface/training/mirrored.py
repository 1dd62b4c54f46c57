"""Several GPUs of one machine on TensorFlow: Keras has no distribution of its own there."""

import tensorflow as tf


def mirrored_strategy() -> tf.distribute.MirroredStrategy:
    """Returns the strategy that trains on every device of this machine.

    Where TensorFlow sees no GPU, these are its (virtual) CPUs.
    """
    if gpus := tf.config.list_logical_devices("GPU"):
        return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus])
    cpus = [cpu.name for cpu in tf.config.list_logical_devices("CPU")]
    # TensorFlow's collective operations now and then mix gradients up among CPUs, and end the run.
    return tf.distribute.MirroredStrategy(cpus, tf.distribute.ReductionToOneDevice())
