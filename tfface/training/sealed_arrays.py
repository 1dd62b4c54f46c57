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


def write_sealed(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes the arrays, whole or not at all.

    Raises InputError: the disk is full, or the folder can't be written.
    """
    with replacing(path) as temporary:
        np.savez(temporary, **arrays)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.comment = b"0" * _SEAL
        seal(temporary)


def seal(path: Path) -> None:
    """Makes the last bytes of a file the checksum of those before them."""
    with path.open("r+b") as file:
        digest = _digest(file, path.stat().st_size - _SEAL)
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
