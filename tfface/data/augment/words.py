"""Pixels as words: the three bytes of a pixel in one int32, on which augmentations are fast.

    word = red + 256 * green + 65536 * blue

A batch of uint8 [batch, height, width, 3] becomes int32 [batch, height, width]. Moving a pixel then
moves one number in place of three, and the rows of a channel are contiguous: the compiler
vectorizes both, where a last axis of three bytes makes it work byte by byte.

A stage that works on words, too, has these attributes, beside being called with images:

    draw      (images or words, seed int32 [2]) -> numbers, a tuple of small tensors: what it draws,
              as tables by image, row and column
    steps     functions of (words, numbers) -> (words, further numbers, a tuple), applied one after
              the other; each gets the numbers of those before it, too. Each is compiled by itself,
              as the compiler would otherwise compute the results of a step again for each pixel
              that needs them
    is_local  True: a pixel of the result needs one pixel only, so that its steps are compiled
              together with those before and after it
"""

import tensorflow as tf

# Added to a float32 below 2**22, it leaves the rounded number (halves to even) in the lowest bits.
_ROUNDING = float(3 << 22)


def pack(images: tf.Tensor) -> tf.Tensor:
    """Packs images into words.

    Args:
        images: uint8 [batch, height, width, 3].

    Returns:
        int32 [batch, height, width].

    Example:
        >>> pack(tf.constant([1, 2, 3], tf.uint8, shape=[1, 1, 1, 3])).numpy().item() == 0x030201
        True
    """
    red, green, blue = tf.unstack(tf.cast(images, tf.int32), axis=-1)
    return red + green * 2**8 + blue * 2**16


def unpack(words: tf.Tensor) -> tf.Tensor:
    """Unpacks words into images: int32 [batch, height, width] -> uint8 [..., 3].

    Args:
        words: as `pack` returns them.
    """
    bits = tf.bitwise.right_shift(words[..., None], tf.constant([0, 8, 16]))
    return tf.cast(tf.bitwise.bitwise_and(bits, 255), tf.uint8)


def is_packed(images: tf.Tensor) -> bool:
    """Whether these are words, not images.

    Args:
        images: words, or images of any type.
    """
    return len(images.shape) == 3


def channels(words: tf.Tensor) -> list[tf.Tensor]:
    """Returns red, green and blue: three of float32 [batch, height, width].

    Args:
        words: as `pack` returns them.
    """
    red = tf.bitwise.bitwise_and(words, 255)
    green = tf.bitwise.bitwise_and(tf.bitwise.right_shift(words, 8), 255)
    blue = tf.bitwise.right_shift(words, 16)
    return [tf.cast(channel, tf.float32) for channel in (red, green, blue)]


def rounded(colors: list[tf.Tensor]) -> tf.Tensor:
    """Packs channels, rounded (halves to even): three of float32 in 0..255 -> int32 words.

    Args:
        colors: red, green and blue, as `channels` returns them.
    """
    red, green, blue = (
        tf.bitwise.bitwise_and(tf.bitcast(color + _ROUNDING, tf.int32), 255) for color in colors
    )
    return red + green * 2**8 + blue * 2**16


def folded(words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Adds up rows of words, the most of what `sums` has to do, in a form that is vectorized.

    Args:
        words: as `pack` returns them.

    Returns:
        int32 [batch, rows, width], twice: sums of red in the lower and of blue in the upper 16
        bits, and sums of green.
    """
    height = words.shape[1]
    # 2**8 rows at most, whose sums fit into 16 bits.
    num_parts = max(number for number in range(1, 17) if height % number == 0)
    parts = tf.split(words, num_parts, axis=1)
    red_and_blue = sum(tf.bitwise.bitwise_and(part, 0xFF00FF) for part in parts)
    green = sum(tf.bitwise.bitwise_and(tf.bitwise.right_shift(part, 8), 255) for part in parts)
    return red_and_blue, green


def sums(red_and_blue: tf.Tensor, green: tf.Tensor) -> tf.Tensor:
    """Returns the sum of each channel of each image: int32 [batch, 3].

    Args:
        red_and_blue, green: as `folded` returns them.
    """
    colors = [
        tf.bitwise.bitwise_and(red_and_blue, 0xFFFF),
        green,
        tf.bitwise.right_shift(red_and_blue, 16),
    ]
    return tf.stack([tf.reduce_sum(color, axis=(1, 2)) for color in colors], axis=1)
