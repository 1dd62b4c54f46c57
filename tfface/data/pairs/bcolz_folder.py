"""bcolz folders of pairs, as in PyTorch ports of InsightFace and in arcface-tf2.

A set is a folder NAME next to the file NAME_list.npy:

    NAME_list.npy        bool [num_pairs], true for a genuine pair
    NAME/meta/sizes      JSON: "shape", here [2 * num_pairs, 3, height, width]
    NAME/meta/storage    JSON: "dtype", here float32, and "chunklen", the images of one chunk
    NAME/data/__0.blp    chunks: 16 bytes ("blpk", version 1, one), then a Blosc 1 buffer

Images 2 i and 2 i + 1 are pair i, their channels blue, green and red, their values
pixel / 127.5 - 1. The folder is what bcolz calls a carray; bcolz itself is no longer maintained.
"""

import hashlib
import struct
import tokenize
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from numcodecs import blosc

from tfface.data.pairs.pair_set import PairSet
from tfface.errors import InputError
from tfface.files import os_errors, parse_json
from tfface.metrics.k_fold import NUM_FOLDS
from tfface.progress import progress

DESCRIPTION = "a bcolz folder with its _list.npy"

_SIZES = Path("meta/sizes")
_STORAGE = Path("meta/storage")

# Far above any real set; they limit the memory that a hostile file can request.
_MAX_META_BYTES = 1 << 20
_MAX_CHUNK_BYTES = 1 << 28
_MAX_SIDE = 4096

_HEADER = struct.Struct("<4sB3xq")
# Versions of the format and of the compressor, flags, item size, bytes in all, of a block, packed.
_BLOSC_HEADER = struct.Struct("<BBBBIII")
_ITEM_BYTES = 4

# NumPy's errors for a damaged header, which it parses as Python tokens.
_NOT_NPY = (
    *(ValueError, TypeError, OverflowError, SyntaxError, RecursionError, MemoryError),
    tokenize.TokenError,
)

# Rounding errors of pixel / 127.5 - 1 in float32 are a hundred times smaller.
_TOLERANCE = 0.02


def matches(source: str) -> bool:
    return bool(_find_arrays(Path(source)))


def load(source: str, name: str, images_dir: Path | None) -> PairSet:
    """Reads a set, given its folder or a folder that contains just this set.

    All chunks are read once, to check them and to find identical images, which are listed once.
    Images are then read on access and returned as PNG with the original pixels; one chunk is kept
    in memory.

    Args:
        source: the folder.
        name: of the set.
        images_dir: not used.

    Returns:
        The pairs.

    Raises:
        InputError: the folder or the list is not as said above, or damaged; or a chunk is missing.
    """
    found = _find_arrays(Path(source))
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found[:10])
        raise InputError(f"{source}: holds {len(found)} bcolz folders ({names}): give one of them")
    folder = found[0]
    list_file = folder.absolute().parent / f"{folder.absolute().name}_list.npy"
    is_genuine = _read_list(list_file)
    array = _Array(folder)
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
    return PairSet(
        name=name,
        images=_Images(array, images),
        image_names=[f"{folder}: image {image} (pair {image // 2})" for image in images],
        first=np.array(slots[0::2]),
        second=np.array(slots[1::2]),
        is_genuine=is_genuine,
        num_folds=NUM_FOLDS,
    )


def _find_arrays(path: Path) -> list[Path]:
    """Returns `path` if it is a carray, else those that lie in it."""
    if (path / _SIZES).is_file():
        return [path]
    if not path.is_dir():
        return []
    with os_errors(path, "listed"):
        return sorted(folder for folder in path.iterdir() if (folder / _SIZES).is_file())


class _Images(Sequence):
    """Some images of an array as PNG; what was read last is kept, as neighbors follow."""

    def __init__(self, array: "_Array", images: list[int]):
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


class _Array:
    """The images of a carray folder.

    Attributes:
        num_images: > 0.
        chunk_length: > 0, images in each chunk but the last.
        num_chunks: > 0.

    Raises:
        InputError: the folder's meta files are not those of an array of face images.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        sizes, storage = _read_json(folder / _SIZES), _read_json(folder / _STORAGE)
        shape = sizes.get("shape")
        if not (
            isinstance(shape, list)
            and len(shape) == 4
            and all(type(side) is int and side > 0 for side in shape)
            and shape[1] == 3
            and max(shape[2:]) <= _MAX_SIDE
        ):
            raise InputError(
                f"{folder / _SIZES}: expected a shape [images, 3, height, width] of at most "
                f"{_MAX_SIDE} pixels a side; got {str(shape)[:100]}"
            )
        if storage.get("dtype") not in ("float32", "<f4"):
            raise InputError(
                f"{folder / _STORAGE}: expected the dtype float32; got "
                f"{str(storage.get('dtype'))[:100]}"
            )
        self.num_images = shape[0]
        self._image_shape = tuple(shape[1:])
        self._image_bytes = _ITEM_BYTES * int(np.prod(self._image_shape))
        length = storage.get("chunklen")
        most = _MAX_CHUNK_BYTES // self._image_bytes
        if type(length) is not int or not 1 <= length <= most:
            raise InputError(
                f"{folder / _STORAGE}: expected a chunklen of 1 to {most} images; got "
                f"{str(length)[:100]}"
            )
        self.chunk_length = length
        self.num_chunks = -(-self.num_images // length)

    def check_files(self) -> None:
        """Raises InputError: chunks are missing (the message counts them)."""
        missing = [
            number for number in range(self.num_chunks) if not self._chunk_file(number).is_file()
        ]
        if missing:
            raise InputError(
                f"{self._folder}: {len(missing):,} of {self.num_chunks:,} chunks are missing, the "
                f"first is {self._chunk_file(missing[0]).relative_to(self._folder)}"
            )

    def chunk(self, number: int) -> np.ndarray:
        """Reads the images of a chunk: uint8 [images, height, width, 3], RGB.

        Raises:
            InputError: it is damaged, or its values are not those of pixels.
        """
        num_images = min(self.chunk_length, self.num_images - number * self.chunk_length)
        values = self._unpack(number, num_images)
        with np.errstate(over="ignore", invalid="ignore"):
            values = values * 127.5 + 127.5
            pixels = np.rint(values)
            right = (np.abs(values - pixels) <= _TOLERANCE) & (pixels >= 0) & (pixels <= 255)
        if not right.all():
            image = number * self.chunk_length + int(np.flatnonzero(~right.all(axis=(1, 2, 3)))[0])
            raise InputError(
                f"{self._chunk_file(number)}: image {image} (pair {image // 2}): its values are "
                "not those of pixels, pixel / 127.5 - 1"
            )
        # From BGR, channels first, to RGB, channels last.
        return np.ascontiguousarray(pixels.astype(np.uint8)[:, ::-1].transpose(0, 2, 3, 1))

    def _chunk_file(self, number: int) -> Path:
        return self._folder / "data" / f"__{number}.blp"

    def _unpack(self, number: int, num_images: int) -> np.ndarray:
        """Returns the numbers of a chunk: float32 [num_images, 3, height, width]."""
        path = self._chunk_file(number)
        expected = num_images * self._image_bytes
        # The last chunk of an array that was shortened may have full length.
        whole = self.chunk_length * self._image_bytes
        data = _read(path, whole + _HEADER.size + _BLOSC_HEADER.size)
        if len(data) < _HEADER.size + _BLOSC_HEADER.size:
            raise InputError(f"{path}: cut short: {len(data)} bytes are no chunk")
        magic, version, count = _HEADER.unpack_from(data)
        if (magic, version, count) != (b"blpk", 1, 1):
            raise InputError(f"{path}: not a chunk that bcolz wrote")
        packed = memoryview(data)[_HEADER.size :]
        _, _, _, item_bytes, num_bytes, _, packed_bytes = _BLOSC_HEADER.unpack_from(packed)
        # The decompressor does not check these.
        if packed_bytes != len(packed) or item_bytes != _ITEM_BYTES:
            raise InputError(
                f"{path}: damaged: says {packed_bytes} bytes of {item_bytes}-byte items, but has "
                f"{len(packed)} of {_ITEM_BYTES}-byte items"
            )
        if num_bytes not in (expected, whole):
            raise InputError(
                f"{path}: damaged: unpacks to {num_bytes} bytes, but {num_images} images have "
                f"{expected}"
            )
        values = np.empty(num_bytes // _ITEM_BYTES, "<f4")
        try:
            blosc.decompress(packed, values)
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{path}: damaged: {error}") from error
        return values[: expected // _ITEM_BYTES].reshape(num_images, *self._image_shape)


def _read_list(path: Path) -> np.ndarray:
    """Returns the labels of the pairs: bool [num_pairs]."""
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; it has the labels of the pairs in the bcolz folder"
        )
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


def _read_json(path: Path) -> dict:
    try:
        content = parse_json(_read(path, _MAX_META_BYTES))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object")
    return content


def _read(path: Path, most_bytes: int) -> bytes:
    with os_errors(path), path.open("rb") as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise InputError(f"{path}: has more than the {most_bytes:,} bytes that it could need")
    return data
