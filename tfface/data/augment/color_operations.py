"""What Pillow's ImageOps and ImageEnhance do to colours, in float32 and for one image.

Each takes and gives float32 [height, width, 3] in 0..255; of images of whole numbers, the result
differs from Pillow's by its rounding alone. A factor of 1 changes nothing.
"""

import tensorflow as tf

_LUMA = (0.299, 0.587, 0.114)


def adjust_brightness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Black at 0."""
    return _clipped(image * factor)


def adjust_color(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Grey at 0."""
    luma = _luma(image)
    return _clipped(luma + factor * (image - luma))


def adjust_contrast(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """At 0, one grey: the mean of the image's luma."""
    mean = tf.reduce_mean(_luma(image))
    return _clipped(mean + factor * (image - mean))


def adjust_sharpness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Smoothed at 0, but for the outermost pixels, which stay."""
    height, width, channels = image.shape
    middle = image[1:-1, 1:-1]
    around = sum(
        image[row : height - 2 + row, column : width - 2 + column]
        for row in range(3)
        for column in range(3)
    )
    smooth = (around + 4 * middle) / 13
    change = tf.pad((factor - 1) * (middle - smooth), [[1, 1], [1, 1], [0, 0]])
    return tf.ensure_shape(_clipped(image + change), (height, width, channels))


def stretch_contrast(image: tf.Tensor) -> tf.Tensor:
    """Brings the darkest value of each channel to 0 and the brightest to 255."""
    low, high = (
        reduce(image, axis=(0, 1), keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max)
    )
    scale = 255 / tf.where(high > low, high - low, 1.0)
    return tf.where(high > low, _clipped((image - low) * scale), image)


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Makes all values of a channel about equally frequent; values are rounded before."""
    values = tf.cast(tf.round(image), tf.int32)
    channels = tf.range(3) * 256
    counts = tf.math.unsorted_segment_sum(
        tf.ones_like(tf.reshape(values, [-1])), tf.reshape(values + channels, [-1]), 3 * 256
    )
    counts = tf.reshape(counts, [3, 256])
    # The brightest value that occurs is not counted: it has to become 255.
    brightest = tf.reduce_max(tf.where(counts > 0, tf.range(256), 0), axis=1)
    step = (tf.reduce_sum(counts, axis=1) - tf.gather(counts, brightest, batch_dims=1)) // 255
    step = step[:, None]
    before = tf.cumsum(counts, axis=1, exclusive=True) + step // 2
    table = tf.where(step > 0, tf.minimum(before // tf.maximum(step, 1), 255), tf.range(256))
    found = tf.gather(tf.reshape(tf.cast(table, tf.float32), [-1]), values + channels)
    return tf.ensure_shape(found, image.shape)


def posterize(image: tf.Tensor, bits: int) -> tf.Tensor:
    """Keeps the highest `bits` of 8 bits of each value."""
    step = float(2 ** (8 - bits))
    return image if bits == 8 else tf.floor(image / step) * step


def solarize(image: tf.Tensor, threshold: float) -> tf.Tensor:
    """Inverts what is not below the threshold."""
    return tf.where(image < threshold, image, 255 - image)


def _luma(image: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(image * tf.constant(_LUMA), axis=-1, keepdims=True)


def _clipped(image: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(image, 0.0, 255.0)
