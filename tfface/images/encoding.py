"""Encoding images and writing them as files: new ones, copies, and smaller ones."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from tfface.files import creating
from tfface.images.decoding import decode, decode_unresized
from tfface.images.header import EXTENSIONS_OF_KINDS, START_BYTES, image_kind

EXTENSIONS = {"jpeg": ".jpg", "png": ".png"}
DEFAULT_QUALITY = 95


def write_picture(path: Path, picture: np.ndarray, format: str) -> None:
    """Writes uint8 [height, width, 3], RGB; JPEG with quality 95 and colors in full resolution.

    Args:
        format: a key of `EXTENSIONS`.
    Raises InputError: the file can't be written, or another is there.
    """
    settings = {"quality": DEFAULT_QUALITY, "subsampling": 0} if format == "jpeg" else {}
    with creating(path) as temporary:
        Image.fromarray(np.ascontiguousarray(picture)).save(temporary, format, **settings)


def write_encoded(path_without_extension: str, output: Path, encoded: bytes) -> str:
    """Writes an image's bytes as they are, with the extension of their format.

    Returns: its path in `output`.
    Raises InputError: the file can't be written, or another is there.
    """
    kind = image_kind(encoded[:START_BYTES])
    name = path_without_extension + EXTENSIONS_OF_KINDS.get(kind, ".jpg")
    with creating(output / name) as temporary:
        temporary.write_bytes(encoded)
    return name


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
