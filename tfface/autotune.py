"""tf.data without its tuner, which can hold up the end of an iteration for as long as it took.

While an iterator with the tuner lives, a thread decides again and again how many calls to make at
once, and waits between for 10 ms, 20 ms and so on, up to a minute. When the iterator is to end, the
thread often misses that, and the end waits for it: of ten epochs of 46 s (`recipes/
mobilenetv2_lfw.yaml`, TensorFlow 2.21) five took 82 s, which is the sum of the waits up to 41 s.

Without the tuner, `tf.data.AUTOTUNE` is as many calls as there are processors, at most 16.

tf.data's rewriting of pipelines is left out, too: it finds nothing to make faster here (13,233
JPEGs, augmented, in batches of 128: equal within 1 %), and takes 20 to 30 % of the time that an
iterator needs to begin.
"""

from collections.abc import Iterator

import tensorflow as tf


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset, with the same elements, to be iterated without tuner and rewriting."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return dataset.with_options(options)


def arrays(dataset: tf.data.Dataset) -> Iterator:
    """Yields the elements, as NumPy arrays, without the tuner."""
    return untuned(dataset).as_numpy_iterator()
