"""Whether images can be decoded: of a few that are held, of a source, or of a verification set.

What makes an image undecodable is what `decoding.undecodable_reason` says of it. The functions here
find those images quickly among many.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfface.autotune import arrays
from tfface.errors import InputError
from tfface.images.decoding import (
    decode_prepared,
    decode_unresized,
    prepare_one,
    undecodable_reason,
    usual_size,
)
from tfface.progress import progress

_BATCH = 64
_MOST_NAMED = 20


def check_images(encoded: Sequence[bytes]) -> tuple[np.ndarray, dict[int, str]]:
    """Decodes images, and finds those that `undecodable_reason` has something to say of.

    Of a JPEG only an eighth of the resolution is computed. All of its data are read for that, so
    it fails for the same files, in little more than half the time.

    Args:
        encoded: the images' bytes.
    Returns: (height, width) of each, int32 [images, 2], 0 where it fails; position -> reason of
        those.
    """
    usual = [usual_size(image) for image in encoded]
    sizes = np.array([size or (0, 0) for size in usual], np.int32).reshape(-1, 2)
    others = [position for position, size in enumerate(usual) if size is None]
    ready = [prepare_one(encoded[position]) for position in others]
    try:
        _decode_usual([image for image, size in zip(encoded, usual, strict=True) if size])
        if others:
            sizes[others] = _sizes(tf.constant(ready, tf.string))[0].numpy()
        return sizes, {}
    except tf.errors.OpError:
        # One of them is enough to spoil the batch.
        pass
    bad = {}
    for position, image in enumerate(encoded):
        if reason := undecodable_reason(image):
            bad[position] = reason
            sizes[position] = 0
    for position, image in zip(others, ready, strict=True):
        if position not in bad:
            sizes[position] = _sizes(tf.constant([image]))[0].numpy()
    return sizes, bad


def find_undecodable(source, indices: np.ndarray) -> list[tuple[str, str]]:
    """Decodes all images of `indices` in parallel; returns (file name, reason) of those that fail.

    Damage in a record file hides the records after it; one entry gives its position.

    Args:
        source: as in `tfface.data.sources`.
        indices: distinct.
    """
    failed = _failed(source.encoded(indices), decode_unresized, indices)
    found = []
    for index in failed:
        # A source that can't read an image says in one line which it is and why.
        try:
            reason = undecodable_reason(source.read(index).encoded)
            if reason:
                found.append((source.filename(index), reason))
        except InputError as error:
            found.append(_name_and_reason(error))
    if failed and not found:
        # Its image data are fine, so the stream broke off: a record file is damaged.
        name = source.filename(failed[0])
        found.append((name, "the file that holds it is damaged here or soon after"))
    return found


def find_undecodable_images(images: Sequence[bytes], names: Sequence[str]) -> list[tuple[str, str]]:
    """Decodes all images in parallel; returns (name, reason) of those that fail.

    Args:
        images: may be a lazy sequence that reads files; then those it can't read fail as well.
        names: what to call each image; one that can't be read names itself.
    """
    found: list[tuple[str, str]] = []

    def readable() -> Iterator[tuple[int, bytes]]:
        for index in range(len(images)):
            try:
                encoded = images[index]
            except InputError as error:
                found.append(_name_and_reason(error))
                continue
            yield index, prepare_one(encoded)

    signature = (tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.string))
    ready = tf.data.Dataset.from_generator(readable, output_signature=signature)
    for index in _failed(ready, decode_prepared, np.arange(len(images))):
        try:
            reason = undecodable_reason(images[index])
        except InputError:
            continue  # named above
        if reason:
            found.append((names[index], reason))
    return found


def lines_of_undecodable(found: Sequence[tuple[str, str]]) -> list[str]:
    """Returns lines for an error message about (name, reason) of images; of many, the first 20."""
    lines = [f"{name}: {reason}" for name, reason in found[:_MOST_NAMED]]
    if len(found) > _MOST_NAMED:
        lines.append(f"and {len(found) - _MOST_NAMED} more images")
    return lines


def _failed(
    images: tf.data.Dataset, decode: Callable[[tf.Tensor], tf.Tensor], indices: np.ndarray
) -> list[int]:
    """Returns those of `indices` that don't come through decoding, in rising order.

    Args:
        images: of (index, encoded image).
        decode: an encoded image to pixels.
    """

    def pixel(index: tf.Tensor, encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # Asked for because TensorFlow leaves out what no result needs.
        return index, decode(encoded)[0, 0, 0]

    # All that TensorFlow can't read or decode drops out here, and is looked at singly by callers.
    good = images.map(pixel, tf.data.AUTOTUNE, deterministic=True).ignore_errors().batch(_BATCH)
    passed = []
    with progress(total=len(indices), description="checking", unit="images") as bar:
        for batch, _ in arrays(good):
            passed.append(batch)
            bar.update(len(batch))
    return np.setdiff1d(indices, np.concatenate([*passed, np.array([], np.int64)])).tolist()


def _name_and_reason(error: InputError) -> tuple[str, str]:
    name, _, reason = str(error).partition(": ")
    return name, reason


def _decode_usual(images: Sequence[bytes]) -> None:
    """Decodes JPEGs of `usual_size`. Raises tf.errors.OpError: one of them can't be decoded."""
    if images:
        # A loop in a graph costs as much for each turn as half of what is done in it.
        tf.raw_ops.MapDefun(
            arguments=[tf.constant(images, tf.string)],
            captured_inputs=[],
            output_types=[tf.uint8],
            output_shapes=[[]],
            f=_pixel_of_jpeg.get_concrete_function(),
        )


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
def _pixel_of_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """Returns a pixel, because TensorFlow leaves out what no result needs."""
    return tf.io.decode_jpeg(encoded, channels=3, ratio=8)[0, 0, 0]


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
def _sizes(ready: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.map_fn(_size, ready, fn_output_signature=(tf.int32, tf.uint8))


def _size(ready: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the size and a pixel, because TensorFlow leaves out what no result needs."""

    def of_jpeg() -> tuple[tf.Tensor, tf.Tensor]:
        small = tf.io.decode_jpeg(ready, channels=3, ratio=8)
        return tf.io.extract_jpeg_shape(ready)[:2], small[0, 0, 0]

    def of_other() -> tuple[tf.Tensor, tf.Tensor]:
        image = decode_prepared(ready)
        return tf.shape(image)[:2], image[0, 0, 0]

    return tf.cond(tf.strings.substr(ready, 0, 2) == b"\xff\xd8", of_jpeg, of_other)
