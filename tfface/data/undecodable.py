"""Finding the images of a source that can't be decoded."""

import numpy as np
import tensorflow as tf

from tfface.data.images import decode, undecodable_reason
from tfface.errors import InputError
from tfface.progress import progress


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
        .batch(64)
    )
    failed = np.zeros(source.num_images, bool)
    failed[indices] = True
    with progress(total=len(indices), description="checking", unit="images") as bar:
        for passed, _ in good.as_numpy_iterator():
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


def _decodable(index: tf.Tensor, encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # A pixel is returned because TensorFlow leaves out what no result needs.
    return index, decode(encoded, 8, 8)[0, 0, 0]
