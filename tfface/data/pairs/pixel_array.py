"""Verification sets whose images are one array of numbers, beside a file of the answers.

PyTorch ports of InsightFace decode a set once and keep its pixels as float32
[2 * num_pairs, 3, height, width]: images 2 i and 2 i + 1 are pair i, their channels blue, green and
red, their values pixel / 127.5 - 1. The answers are in NAME_list.npy, true for a genuine pair.
"""

import hashlib
import tokenize
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf

from tfface.data.pairs.pair_set import PairSet, pairs_of_neighbors, slot_name
from tfface.errors import InputError
from tfface.files import os_errors, parse_json
from tfface.progress import progress

# Far above any real set; they limit the memory that a hostile file can request.
_MAX_META_BYTES = 1 << 20
_MAX_SIDE = 4096

# NumPy's errors for a damaged header, which it parses as Python tokens.
_NOT_NPY = (
    *(ValueError, TypeError, OverflowError, SyntaxError, RecursionError, MemoryError),
    tokenize.TokenError,
)

# Rounding errors of pixel / 127.5 - 1 in float32 are a hundred times smaller.
_TOLERANCE = 0.02


class PixelArray(Protocol):
    """The images of a set, read in chunks.

    Attributes:
        num_images: > 0.
        chunk_length: > 0, images in each chunk but the last.
        num_chunks: > 0.
    """

    num_images: int
    chunk_length: int
    num_chunks: int

    def check_files(self) -> None:
        """Raises InputError: the files can't hold the images."""

    def chunk(self, number: int) -> np.ndarray:
        """Reads the images of a chunk: uint8 [images, height, width, 3], RGB.

        Raises:
            InputError: it is damaged, or its values are not those of pixels.
        """


def load_pairs(array: PixelArray, folder: Path, name: str) -> PairSet:
    """Returns the pairs of an array and of the list beside its folder.

    All chunks are read once, to check them and to find identical images, which are listed once.
    Images are then read on access and returned as PNG with the original pixels; one chunk is kept
    in memory.

    Args:
        array: of the images.
        folder: in which it is; its list lies beside it.
        name: of the set.
    Raises InputError: the list is missing or damaged, or has not an answer for two images each; or
        a chunk is damaged.
    """
    list_file = folder.absolute().parent / f"{folder.absolute().name}_list.npy"
    is_genuine = _read_list(list_file)
    if array.num_images != 2 * len(is_genuine):
        raise InputError(
            f"{folder}: {array.num_images} images, but {list_file.name} has {len(is_genuine)} "
            "labels: expected two images for each"
        )
    array.check_files()
    position: dict[bytes, int] = {}
    images, slots = [], []
    for number in progress(range(array.num_chunks), description=f"reading {name}", unit="chunks"):
        for image, pixels in enumerate(array.chunk(number), start=number * array.chunk_length):
            digest = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
            if digest not in position:
                position[digest] = len(position)
                images.append(image)
            slots.append(position[digest])
    names = [f"{folder}: {slot_name(image)}" for image in images]
    return pairs_of_neighbors(name, _Images(array, images), names, slots, is_genuine)


def the_only(found: Sequence[Path], source: str, kind: str) -> Path:
    """Returns the folder that a user means, who gave it or the one in which it lies alone.

    Raises InputError: there are several.
    """
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found[:10])
        raise InputError(f"{source}: holds {len(found)} {kind} ({names}): give one of them")
    return found[0]


def find_folders(path: Path, mark: Path) -> list[Path]:
    """Returns `path` if the file `mark` is in it, else the folders in it that have this file."""
    if (path / mark).is_file():
        return [path]
    if not path.is_dir():
        return []
    with os_errors(path, "listed"):
        return sorted(folder for folder in path.iterdir() if (folder / mark).is_file())


def check_shape(shape: object, path: Path) -> tuple[int, ...]:
    """Returns the shape that a file at `path` gives.

    Raises InputError: it is not that of images with three channels.
    """
    if not (
        isinstance(shape, list)
        and len(shape) == 4
        and all(type(side) is int and side > 0 for side in shape)
        and shape[1] == 3
        and max(shape[2:]) <= _MAX_SIDE
    ):
        raise InputError(
            f"{path}: expected a shape [images, 3, height, width] of at most {_MAX_SIDE} pixels a "
            f"side; got {str(shape)[:100]}"
        )
    return tuple(shape)


def check_dtype(dtype: object, path: Path) -> None:
    """Raises InputError: a file at `path` says another type than float32."""
    if dtype not in ("float32", "<f4"):
        raise InputError(f"{path}: expected the dtype float32; got {str(dtype)[:100]}")


def to_pixels(values: np.ndarray, path: Path, first_image: int) -> np.ndarray:
    """Returns pixel / 127.5 - 1 [images, 3, height, width], BGR, as pixels.

    Args:
        values: float32.
        path: of their file.
        first_image: number of the first one of them in the array.

    Returns:
        uint8 [images, height, width, 3], RGB.

    Raises:
        InputError: the values are no pixels.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        values = values * 127.5 + 127.5
        pixels = np.rint(values)
        right = (np.abs(values - pixels) <= _TOLERANCE) & (pixels >= 0) & (pixels <= 255)
    if not right.all():
        image = first_image + int(np.flatnonzero(~right.all(axis=(1, 2, 3)))[0])
        raise InputError(
            f"{path}: {slot_name(image)}: its values are not those of pixels, pixel / 127.5 - 1"
        )
    # From BGR, channels first, to RGB, channels last.
    return np.ascontiguousarray(pixels.astype(np.uint8)[:, ::-1].transpose(0, 2, 3, 1))


def read_json(path: Path) -> dict:
    """Returns a small JSON object.

    Raises InputError: it can't be read, is none, or is too long.
    """
    try:
        content = parse_json(read_at_most(path, _MAX_META_BYTES))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object")
    return content


def read_at_most(path: Path, most_bytes: int) -> bytes:
    """Returns the bytes of a file.

    Raises InputError: it can't be read, or is longer than `most_bytes`.
    """
    with os_errors(path), path.open("rb") as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise InputError(f"{path}: has more than the {most_bytes:,} bytes that it could need")
    return data


class _Images(Sequence):
    """Some images of an array as PNG; what was read last is kept, as neighbors follow."""

    def __init__(self, array: PixelArray, images: list[int]):
        self._array = array
        self._images = images
        self._last: tuple[int, np.ndarray] = (-1, np.empty(0))

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> bytes:
        number, row = divmod(self._images[index], self._array.chunk_length)
        # As one value, so that another thread never sees half of a change.
        last = self._last
        if last[0] != number:
            last = self._last = (number, self._array.chunk(number))
        # The least effort takes a quarter of the usual one's time, for a file 8 % larger.
        return tf.io.encode_png(last[1][row], compression=1).numpy()


def _read_list(path: Path) -> np.ndarray:
    """Returns the labels of the pairs: bool [num_pairs]."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; it has the labels of the pairs in the folder")
    try:
        # A memory map checks the declared shape against the file size, and refuses objects, which
        # would be pickles.
        labels = np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except _NOT_NPY as error:
        raise InputError(f"{path}: not a .npy file of booleans: {error}") from error
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "biu":
        raise InputError(
            f"{path}: expected a row of booleans; got {labels.dtype} of shape {labels.shape}"
        )
    if not np.isin(labels, (0, 1)).all():
        raise InputError(f"{path}: holds other numbers than 0 and 1")
    return np.array(labels, bool)
