"""tf.data without its tuner, which can hold up the end of an iteration for as long as it took.

While an iterator with the tuner lives, a thread decides again and again how many calls to make at
once, and waits between for 10 ms, 20 ms and so on, up to a minute. When the iterator is to end, the
thread often misses that, and the end waits for it: of ten epochs of 46 s (`recipes/
mobilenetv2_lfw.yaml`, TensorFlow 2.21) five took 82 s, which is the sum of the waits up to 41 s.

Without the tuner, `tf.data.AUTOTUNE` is as many calls as there are processors, at most 16.
"""

from collections.abc import Iterator

import tensorflow as tf


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset, to be iterated without the tuner; the elements are the same."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def arrays(dataset: tf.data.Dataset) -> Iterator:
    """Yields the elements, as NumPy arrays, without the tuner."""
    return untuned(dataset).as_numpy_iterator()
