"""Caches: decoded images in memory or in a file, and the batches of an epoch in memory."""

import hashlib
import math
import os
import shutil
import sys
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfface.autotune import arrays, untuned
from tfface.data.pipeline.transform import decoder
from tfface.errors import InputError
from tfface.files import replacing
from tfface.images.validation import find_undecodable
from tfface.progress import progress

# Part of the files' names; increase it when the decoder's pixels change.
_VERSION = 2
# Left free for the program and the rest of the machine.
_SPARE_MEMORY_BYTES = 1 << 30
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_BATCH = 256


def decode_into_memory(source, indices: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Decodes images into an array in memory.

    Args:
        source: A source of `tfface.data.sources`.
        indices: int64 [n], the images to decode.
        image_size: (height, width).

    Returns:
        uint8 [n, height, width, 3].

    Raises:
        InputError: There is not enough memory (1 GiB is left free), or an image can't be decoded.
    """
    shape = (len(indices), *image_size, 3)
    check_memory(
        math.prod(shape),
        f"cache: memory needs {_product(shape)}",
        "use cache: disk, cache: none or a smaller image_size",
    )
    images = np.empty(shape, np.uint8)
    _fill(images, source, indices)
    return images


def check_memory(num_bytes: int, needs: str, instead: str) -> None:
    """Checks, before an array is filled, that there is enough memory for it.

    Args:
        num_bytes: Size of the array.
        needs: Who needs how much, for the message.
        instead: What else to do, for the message.

    Raises:
        InputError: There is not enough memory (1 GiB is left free).

    Example:
        >>> check_memory(1000, "the cache needs 1,000 bytes", "use cache: none")
    """
    available = _available_memory_bytes()
    if num_bytes + _SPARE_MEMORY_BYTES > available:
        raise InputError(
            f"{needs} and {_gib(_SPARE_MEMORY_BYTES)} to spare, but {_gib(available)} of memory "
            f"are available: {instead}"
        )


def decode_into_file(
    source, indices: np.ndarray, image_size: tuple[int, int], cache_dir: Path
) -> np.ndarray:
    """Decodes images into an array in a file in `cache_dir`, which later runs use again.

    The file's name is a hash of the source's fingerprint, the indices and the size: other images
    are in another file. Old files are never removed.

    Args:
        source, indices, image_size: As in `decode_into_memory`.
        cache_dir: Folder of the file.

    Returns:
        A memory map uint8 [n, height, width, 3], read-only.

    Raises:
        InputError: There is not enough disk space, or an image can't be decoded.
    """
    indices = np.ascontiguousarray(indices, np.int64)
    key = hashlib.sha256(f"{_VERSION} {source.fingerprint} {image_size}".encode())
    key.update(indices.tobytes())
    path = Path(cache_dir) / f"{key.hexdigest()[:32]}.uint8"
    shape = (len(indices), *image_size, 3)
    needed = math.prod(shape)
    if not (path.is_file() and path.stat().st_size == needed):
        with replacing(path) as temporary:
            available = shutil.disk_usage(temporary.parent).free
            if needed > available:
                raise InputError(
                    f"cache: disk needs {_product(shape)} in {cache_dir}, but {_gib(available)} "
                    "are free there: choose another cache folder, or use cache: none"
                )
            images = np.memmap(temporary, np.uint8, "w+", shape=shape)
            _fill(images, source, indices)
            images.flush()
            del images
    return np.memmap(path, np.uint8, "r", shape=shape)


class EpochCache:
    """Keeps the batches of an epoch in memory, to repeat them.

    Args:
        shape: Of the features of all batches: (num_steps, batch_size, ...); float32.

    Example:
        >>> cache = EpochCache((2, 4, 3))
        >>> for step in range(2):
        ...     cache.add(np.full((4, 3), step), np.zeros(4, np.int32))
        >>> [int(features[0, 0]) for features, labels in cache.epoch()]
        [0, 1]
    """

    def __init__(self, shape: tuple[int, ...]):
        self._features = np.empty(shape, np.float32)
        self._labels: list = []

    def add(self, features: np.ndarray, labels) -> None:
        """Appends a batch; labels are an array [batch_size] or a dict of such arrays.

        Args:
            features: Of the images, [batch_size, ...].
            labels: Of the images.
        """
        self._features[len(self._labels)] = features
        self._labels.append(labels)

    def epoch(self, first_step: int = 0) -> tf.data.Dataset:
        """Returns the batches from step `first_step` on: (features, labels).

        Args:
            first_step: The batches before it are left out.
        """
        return self._batches.skip(first_step) if first_step else self._batches

    @cached_property
    def _batches(self) -> tf.data.Dataset:
        """All batches; made once, because making them takes as long as ten small steps."""
        features = self._features

        def fetch(step: tf.Tensor, labels):
            # Not a tensor of the dataset, which would be a copy of all features.
            batch = tf.numpy_function(lambda step: features[step], [step], tf.float32)
            return tf.ensure_shape(batch, features.shape[1:]), labels

        labels = tf.nest.map_structure(lambda *batches: np.stack(batches), *self._labels)
        return untuned(
            tf.data.Dataset.from_tensor_slices((np.arange(len(features)), labels))
            .map(fetch, tf.data.AUTOTUNE, deterministic=True)
            .prefetch(2)
        )


def _fill(images: np.ndarray, source, indices: np.ndarray) -> None:
    """Decodes in parallel, in the order in which the source gives the images."""
    position = np.empty(source.num_images, np.int64)
    position[indices] = np.arange(len(indices))
    decode = decoder(images.shape[1:3])
    decoded = (
        source.encoded(indices)
        .batch(_BATCH)
        .map(lambda index, encoded: (index, decode(encoded)), tf.data.AUTOTUNE)
        .prefetch(2)
    )
    with progress(total=len(indices), description="decoding", unit="images") as bar:
        try:
            for batch, pixels in arrays(decoded):
                images[position[batch]] = pixels
                bar.update(len(batch))
        except tf.errors.OpError as error:
            if found := find_undecodable(source, indices):
                raise InputError("\n".join(f"{name}: {why}" for name, why in found)) from error
            raise


def _available_memory_bytes() -> int:
    """Returns the available memory of the machine, or of the control group if that is less.

    A control group counts files that were read as used memory, but can free it: they are
    subtracted, as Kubernetes does.
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
        available *= 1024
    except (OSError, StopIteration):
        # No Linux: all memory is the best estimate that the standard library has; on Windows it
        # has none.
        if not hasattr(os, "sysconf"):
            return sys.maxsize
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for folder, limit, used in (
        (_CONTROL_GROUPS, "memory.max", "memory.current"),
        (_CONTROL_GROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            left = int((folder / limit).read_text()) - int((folder / used).read_text())
            stat = dict(map(str.split, (folder / "memory.stat").read_text().splitlines()))
            left += int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
        except (OSError, ValueError):
            # No such control group, or "max": no limit.
            continue
        available = min(available, left)
    return available


def _product(shape: tuple[int, ...]) -> str:
    return f"{' x '.join(map(str, shape))} = {_gib(math.prod(shape))}"


def _gib(num_bytes: int) -> str:
    # Two digits of a small number would be 0.
    if num_bytes < 2**30 / 10:
        return f"{num_bytes / 2**20:.2f} MiB" if num_bytes >= 2**20 / 10 else f"{num_bytes:,} bytes"
    return f"{num_bytes / 2**30:.2f} GiB"
