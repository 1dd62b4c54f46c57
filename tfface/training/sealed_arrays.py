"""Arrays in a `.npz` file that carries its own checksum: what is damaged is never taken for whole.

The file is one that `numpy.load` reads. Its zip comment, the last bytes of the file, is the SHA-256
of all bytes before it in hexadecimal, so that no byte can change, appear or be missing unnoticed.
(The checksums of a zip leave out its own headers.)
"""

import hashlib
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tfface.errors import InputError
from tfface.files import replacing
from tfface.npz_file import reading_npz

_SEAL = 64
_BLOCK = 1 << 22
_PART = 1 << 20


def write_sealed(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes the arrays, whole or not at all.

    Raises InputError: the disk is full, or the folder can't be written.
    """
    with replacing(path) as temporary, temporary.open("r+b") as file:
        hashed = _Hashed(file)
        with zipfile.ZipFile(hashed, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    _write_array(entry, array)
            archive.comment = b"0" * _SEAL
        _write_seal(file, hashed.digest())


def seal(path: Path) -> None:
    """Makes the last bytes of a file the checksum of those before them."""
    with path.open("r+b") as file:
        _write_seal(file, _digest(file, path.stat().st_size - _SEAL))


def _write_array(file: BinaryIO, array: np.ndarray) -> None:
    """Does what `numpy.lib.format.write_array` does, without its copy of each part."""
    array = np.ascontiguousarray(array).reshape(array.shape)
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, header)
    data = array.reshape(-1).view(np.uint8).data
    # Parts that stay in the processor's cache while they are summed up and written.
    for start in range(0, len(data), _PART):
        file.write(data[start : start + _PART])


class _Hashed:
    """A file that is written from front to back, and hashed but for its last `_SEAL` bytes.

    Reading it again for that takes as long as writing it.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self._hash = hashlib.sha256()
        # Not hashed yet: the end may be in it.
        self._tail = b""

    def write(self, data: bytes | memoryview) -> int:
        number = self._file.write(data)
        if len(data) < _SEAL:
            data = self._tail + bytes(data)
        else:
            self._hash.update(self._tail)
        self._hash.update(memoryview(data)[:-_SEAL])
        self._tail = bytes(data[-_SEAL:])
        return number

    def flush(self) -> None:
        self._file.flush()

    def digest(self) -> bytes:
        return self._hash.hexdigest().encode()


def _write_seal(file: BinaryIO, digest: bytes) -> None:
    file.seek(-_SEAL, 2)
    file.write(digest)
    file.flush()
    # A machine that loses its power may else have the name without the bytes.
    os.fsync(file.fileno())


@contextmanager
def reading_sealed(path: Path, otherwise: str) -> Iterator[Mapping[str, np.ndarray]]:
    """Opens such a file, as `reading_npz` does, once all of it is found as it was written.

    Raises InputError: it is missing or not as it was written; or what `reading_npz` raises.
    """
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2) - _SEAL
            is_whole = size > 0 and _seal(file) == _digest(file, size)
    except OSError as error:
        raise InputError(f"{path}: {otherwise}: {error.strerror or error}") from error
    if not is_whole:
        raise InputError(f"{path}: {otherwise}: its bytes are not those of its checksum")
    with reading_npz(path, otherwise) as arrays:
        yield arrays


def _seal(file: BinaryIO) -> bytes:
    file.seek(-_SEAL, 2)
    return file.read(_SEAL)


def _digest(file: BinaryIO, size: int) -> bytes:
    """Of the first `size` bytes."""
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0:
        block = file.read(min(size, _BLOCK))
        if not block:
            break
        digest.update(block)
        size -= len(block)
    return digest.hexdigest().encode()
