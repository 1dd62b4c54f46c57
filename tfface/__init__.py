"""tfface: train, evaluate and ship face-recognition models with Keras 3 and tf.data."""

from tfface import onednn

__version__ = "0.1.0"

# Before anything imports TensorFlow.
onednn.turn_on()
