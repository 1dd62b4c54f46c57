"""bcolz folders of pairs, as in PyTorch ports of InsightFace and in arcface-tf2.

A set is a folder NAME next to the file NAME_list.npy:

    NAME_list.npy        bool [num_pairs], true for a genuine pair
    NAME/meta/sizes      JSON: "shape", here [2 * num_pairs, 3, height, width]
    NAME/meta/storage    JSON: "dtype", here float32, and "chunklen", the images of one chunk
    NAME/data/__0.blp    chunks: 16 bytes ("blpk", version 1, one), then a Blosc 1 buffer

Images 2 i and 2 i + 1 are pair i, their channels blue, green and red, their values
pixel / 127.5 - 1. The folder is what bcolz calls a carray; bcolz itself is no longer maintained.
"""

import struct
from pathlib import Path

import numpy as np

from tfface.data.pairs.pair_set import PairSet
from tfface.data.pairs.pixel_array import (
    check_dtype,
    check_shape,
    find_folders,
    load_pairs,
    read_at_most,
    read_json,
    the_only,
    to_pixels,
)
from tfface.errors import InputError

DESCRIPTION = "a bcolz folder with its _list.npy"

_SIZES = Path("meta/sizes")
_STORAGE = Path("meta/storage")

# Far above any real set; it limits the memory that a hostile file can request.
_MAX_CHUNK_BYTES = 1 << 28

_HEADER = struct.Struct("<4sB3xq")
# Versions of the format and of the compressor, flags, item size, bytes in all, of a block, packed.
_BLOSC_HEADER = struct.Struct("<BBBBIII")
_ITEM_BYTES = 4


def matches(source: str) -> bool:
    return bool(find_folders(Path(source), _SIZES))


def load(source: str, name: str, images_dir: Path | None) -> PairSet:
    """Reads a set, given its folder or a folder that contains just this set.

    Args:
        source: the folder.
        name: of the set.
        images_dir: not used.

    Returns:
        The pairs.

    Raises:
        InputError: the folder or the list is not as said above, or damaged; or a chunk is missing.
    """
    folder = the_only(find_folders(Path(source), _SIZES), source, "bcolz folders")
    return load_pairs(_Array(folder), folder, name)


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
        sizes, storage = read_json(folder / _SIZES), read_json(folder / _STORAGE)
        shape = check_shape(sizes.get("shape"), folder / _SIZES)
        check_dtype(storage.get("dtype"), folder / _STORAGE)
        self.num_images = shape[0]
        self._image_shape = shape[1:]
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
        return to_pixels(values, self._chunk_file(number), number * self.chunk_length)

    def _chunk_file(self, number: int) -> Path:
        return self._folder / "data" / f"__{number}.blp"

    def _unpack(self, number: int, num_images: int) -> np.ndarray:
        """Returns the numbers of a chunk: float32 [num_images, 3, height, width]."""
        path = self._chunk_file(number)
        expected = num_images * self._image_bytes
        # The last chunk of an array that was shortened may have full length.
        whole = self.chunk_length * self._image_bytes
        data = read_at_most(path, whole + _HEADER.size + _BLOSC_HEADER.size)
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
        # Only here: an extra, and every training and evaluation imports this module.
        from numcodecs import blosc

        values = np.empty(num_bytes // _ITEM_BYTES, "<f4")
        try:
            blosc.decompress(packed, values)
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{path}: damaged: {error}") from error
        return values[: expected // _ITEM_BYTES].reshape(num_images, *self._image_shape)
