"""Memory maps of pairs, as AdaFace keeps its validation sets.

A set is a folder NAME next to the file NAME_list.npy:

    NAME_list.npy                   bool [num_pairs], true for a genuine pair
    NAME/memfile/mem_file.dat       the numbers of all images, one after the other
    NAME/memfile/mem_file.dat.conf  JSON: "shape", here [2 * num_pairs, 3, height, width], and
                                    "dtype", here float32

AdaFace makes them of bcolz folders, which may still be there: then these are read.
"""

import math
from pathlib import Path

import numpy as np

from tfface.data.pairs.pair_set import PairSet
from tfface.data.pairs.pixel_array import (
    check_dtype,
    check_shape,
    find_folders,
    load_pairs,
    read_json,
    the_only,
    to_pixels,
)
from tfface.errors import InputError
from tfface.files import check_regular, os_errors

DESCRIPTION = "an AdaFace memfile folder with its _list.npy"

_NUMBERS = Path("memfile/mem_file.dat")
_CONFIGURATION = Path("memfile/mem_file.dat.conf")
_TYPE = np.dtype("<f4")
_CHUNK_LENGTH = 64


def matches(source: str) -> bool:
    return bool(find_folders(Path(source), _CONFIGURATION))


def load(source: str, name: str, images_dir: Path | None) -> PairSet:
    """Reads a set, given its folder or a folder that contains just this set.

    Args:
        source: the folder.
        name: of the set.
        images_dir: not used.

    Returns:
        The pairs.

    Raises:
        InputError: the folder or the list is not as said above, or damaged.
    """
    folder = the_only(find_folders(Path(source), _CONFIGURATION), source, "memfile folders")
    return load_pairs(_Array(folder), folder, name)


class _Array:
    """The images of a memory map.

    Attributes:
        num_images: > 0.
        chunk_length: > 0, images in each chunk but the last.
        num_chunks: > 0.

    Raises:
        InputError: the configuration is not that of face images.
    """

    chunk_length = _CHUNK_LENGTH

    def __init__(self, folder: Path):
        self._path = folder / _NUMBERS
        configuration = read_json(folder / _CONFIGURATION)
        shape = check_shape(configuration.get("shape"), folder / _CONFIGURATION)
        check_dtype(configuration.get("dtype"), folder / _CONFIGURATION)
        self._shape = shape
        self.num_images = shape[0]
        self.num_chunks = -(-self.num_images // _CHUNK_LENGTH)

    def check_files(self) -> None:
        """Raises InputError: the file can't be read, or has not the numbers of so many images."""
        check_regular(self._path)
        with os_errors(self._path):
            num_bytes = self._path.stat().st_size
        expected = math.prod(self._shape) * _TYPE.itemsize
        if num_bytes != expected:
            raise InputError(
                f"{self._path}: has {num_bytes:,} bytes, and {self.num_images:,} images of "
                f"{self._shape[3]}x{self._shape[2]} pixels have {expected:,}"
            )

    def chunk(self, number: int) -> np.ndarray:
        """Reads the images of a chunk: uint8 [images, height, width, 3], RGB.

        Raises:
            InputError: its values are not those of pixels.
        """
        start = number * _CHUNK_LENGTH
        # Mapped for each chunk, so that a set in memory holds no file open.
        with os_errors(self._path):
            values = np.memmap(self._path, _TYPE, "r", shape=self._shape)
        return to_pixels(values[start : start + _CHUNK_LENGTH], self._path, start)
