"""Finding the images of a source that can't be decoded."""

import numpy as np
import tensorflow as tf

from tfface.data.images import decode, undecodable_reason
from tfface.errors import InputError
from tfface.progress import progress


def find_undecodable(source, indices: np.ndarray) -> list[tuple[str, str]]:
    """Decodes all images of `indices` in parallel; returns (file name, reason) of those that fail.

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
        name = source.filename(index)
        try:
            reason = undecodable_reason(source.read(index).encoded)
        except InputError as error:
            reason = str(error).removeprefix(f"{name}: ")
        if reason:
            found.append((name, reason))
    return found


def _decodable(index: tf.Tensor, encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # A pixel is returned because TensorFlow leaves out what no result needs.
    return index, decode(encoded, 8, 8)[0, 0, 0]
