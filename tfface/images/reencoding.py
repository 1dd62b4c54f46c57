"""Encoding images anew, smaller or with less quality, where a user asks for it."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfface.images.decoding import decode, decode_unresized

DEFAULT_QUALITY = 95


def reencoder(
    size: tuple[int, int] | None, quality: int | None
) -> Callable[[Sequence[bytes], Sequence[tuple[int, int]]], list[bytes]]:
    """Returns a function that encodes images anew as JPEG, where that is needed.

    Args:
        size: (height, width) that all images are to have; None keeps the size of each.
        quality: of the JPEG, 1 to 100. With None, images that have the size are left as they are,
            and others are encoded at 95.
    Returns: (encoded images that can be decoded, the (height, width) of each) -> encoded images.
    """

    # Compiled once for all batches.
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(images: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(encode_one, images)

    def encode_one(image: tf.Tensor) -> tf.Tensor:
        pixels = decode(image, *size) if size else decode_unresized(image)
        return tf.io.encode_jpeg(pixels, quality=quality or DEFAULT_QUALITY)

    def apply(images: Sequence[bytes], sizes: Sequence[tuple[int, int]]) -> list[bytes]:
        done = list(images)
        wanted = [i for i, found in enumerate(sizes) if quality or (size and found != size)]
        if wanted:
            encoded = encode(tf.constant([images[i] for i in wanted]))
            for i, image in zip(wanted, encoded.numpy().tolist(), strict=True):
                done[i] = image
        return done

    return apply
