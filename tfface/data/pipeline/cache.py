"""Decoded images, kept in memory or in a file, so that later epochs decode nothing."""

import hashlib
import math
import os
import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfface.autotune import arrays
from tfface.errors import InputError
from tfface.files import replacing
from tfface.images.decoding import decode_all
from tfface.images.validation import find_undecodable
from tfface.progress import progress

# Part of the files' names; to be raised when the decoder's pixels change.
_VERSION = 2
# Left to the program and the rest of the machine when images are kept in memory.
_SPARE_MEMORY_BYTES = 1 << 30
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_BATCH = 256


def decode_into_memory(source, indices: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Decodes the images of `indices` into uint8 [len(indices), height, width, 3].

    Raises InputError: the memory does not suffice (1 GiB is left free), or an image can't be
        decoded.
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
    """Finds out before an array is filled that it has no room.

    Args:
        needs: who needs how much, and `instead`: what else to do; for the message.
    Raises InputError: the memory does not suffice (1 GiB is left free).
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
    """As `decode_into_memory`, but the array is a file in `cache_dir` that later runs use again.

    Its name is a hash of the source's fingerprint, the indices and the size: other images mean
    another file. Old files are never removed.

    Raises InputError: the disk does not suffice, or an image can't be decoded.
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


def _fill(images: np.ndarray, source, indices: np.ndarray) -> None:
    """Decodes in parallel, in whatever order the source gives, each image into its place."""
    place = np.empty(source.num_images, np.int64)
    place[indices] = np.arange(len(indices))
    size = images.shape[1:3]
    decoded = (
        source.encoded(indices)
        .batch(_BATCH)
        .map(lambda index, encoded: (index, decode_all(encoded, *size)), tf.data.AUTOTUNE)
        .prefetch(2)
    )
    with progress(total=len(indices), description="decoding", unit="images") as bar:
        try:
            for batch, pixels in arrays(decoded):
                images[place[batch]] = pixels
                bar.update(len(batch))
        except tf.errors.OpError as error:
            if found := find_undecodable(source, indices):
                raise InputError("\n".join(f"{name}: {why}" for name, why in found)) from error
            raise


def _available_memory_bytes() -> int:
    """The machine's available memory, or what the control group leaves of it where that is less.

    Files that were read count as used there, but give way: they are taken off, as Kubernetes does.
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
        available *= 1024
    except (OSError, StopIteration):
        # No Linux: all memory is the best estimate that the standard library has.
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
    # Little may be left, and two digits of it would be none.
    if num_bytes < 2**30 / 10:
        return f"{num_bytes / 2**20:.2f} MiB" if num_bytes >= 2**20 / 10 else f"{num_bytes:,} bytes"
    return f"{num_bytes / 2**30:.2f} GiB"
