"""Finding the images that can't be decoded, of a source or of a verification set."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfface.autotune import arrays
from tfface.errors import InputError
from tfface.images.decoding import (
    decode_prepared,
    decode_unresized,
    prepare_one,
    undecodable_reason,
)
from tfface.progress import progress

_BATCH = 64


def find_undecodable(source, indices: np.ndarray) -> list[tuple[str, str]]:
    """Decodes all images of `indices` in parallel; returns (file name, reason) of those that fail.

    A damaged record file hides what comes after the damage: its place is told by one entry.

    Args:
        source: as in `tfface.data.sources`.
        indices: distinct.
    """
    # All that TensorFlow can't read or decode drops out here, and is looked at singly below.
    good = (
        source.encoded(indices)
        .map(_decodable, tf.data.AUTOTUNE, deterministic=True)
        .ignore_errors()
        .batch(_BATCH)
    )
    failed = np.zeros(source.num_images, bool)
    failed[indices] = True
    with progress(total=len(indices), description="checking", unit="images") as bar:
        for passed, _ in arrays(good):
            failed[passed] = False
            bar.update(len(passed))
    found = []
    for index in np.flatnonzero(failed):
        # A source that can't read an image says in one line which it is and why.
        try:
            reason = undecodable_reason(source.read(index).encoded)
            if reason:
                found.append((source.filename(index), reason))
        except InputError as error:
            name, _, reason = str(error).partition(": ")
            found.append((name, reason))
    if failed.any() and not found:
        # Its image data are fine, so the stream broke off: a record file is damaged.
        name = source.filename(np.flatnonzero(failed)[0])
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
                name, _, reason = str(error).partition(": ")
                found.append((name, reason))
                continue
            yield index, prepare_one(encoded)

    signature = (tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.string))
    good = (
        tf.data.Dataset.from_generator(readable, output_signature=signature)
        .map(_prepared_decodable, tf.data.AUTOTUNE, deterministic=True)
        .ignore_errors()
        .batch(_BATCH)
    )
    failed = np.ones(len(images), bool)
    with progress(total=len(images), description="checking", unit="images") as bar:
        for passed, _ in arrays(good):
            failed[passed] = False
            bar.update(len(passed))
    for index in np.flatnonzero(failed):
        try:
            reason = undecodable_reason(images[index])
        except InputError:
            continue  # named above
        if reason:
            found.append((names[index], reason))
    return found


def _decodable(index: tf.Tensor, encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return index, _pixel(decode_unresized(encoded))


def _prepared_decodable(index: tf.Tensor, ready: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return index, _pixel(decode_prepared(ready))


def _pixel(image: tf.Tensor) -> tf.Tensor:
    # Asked for because TensorFlow leaves out what no result needs.
    return image[0, 0, 0]
