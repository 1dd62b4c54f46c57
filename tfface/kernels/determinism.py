"""TensorFlow's own switch for operations that give the same result each time."""

import tensorflow as tf


def make_tensorflow_deterministic() -> None:
    """Lets TensorFlow refuse or replace operations whose result depends on chance; not undone."""
    tf.config.experimental.enable_op_determinism()
