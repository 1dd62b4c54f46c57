"""tfface: train, evaluate and ship face-recognition models with Keras 3 and tf.data."""

__version__ = "0.1.0"
