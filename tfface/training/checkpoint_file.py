"""The files of checkpoints: arrays by key in the safetensors format, with a checksum.

Any reader of safetensors opens them. The file's metadata hold a text, the progress of the run, and
a SHA-256 over it and over key, type, shape and bytes of every array: a changed, missing or added
byte is detected. A file has its name only when it is complete.

Version 0.1 wrote `.npz` files, with arrays by position; they are read in this release.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tfface.errors import InputError, shown
from tfface.files import parse_json, replacing
from tfface.npz_file import reading_npz

SUFFIX, OLD_SUFFIX = ".safetensors", ".npz"

# The one entry of the metadata: safetensors keeps several in no order, and files shall be equal.
METADATA_KEY = "tfface_checkpoint"
_DAMAGED = "not a readable checkpoint"


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], text: str = "") -> None:
    """Writes arrays with a checksum, complete or not at all.

    Args:
        path: with SUFFIX.
        arrays: key -> array of numbers.
        text: kept with them; a checkpoint's progress.

    Raises:
        InputError: the disk is full, or the folder can't be written.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from tfface.training.checkpoint_file import read_arrays, write_arrays
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "a.safetensors")
        ...     write_arrays(path, {"kernel": np.ones((2, 3))})
        ...     arrays, progress = read_arrays(path)
        >>> arrays["kernel"].shape
        (2, 3)
    """
    # As they lie in the file: safetensors writes an array's memory.
    arrays = {key: np.asarray(array, order="C") for key, array in arrays.items()}
    described = {"text": text, "sha256": checksum(arrays, text)}
    with replacing(path) as temporary:
        with _naming_errors():
            save_file(arrays, temporary, {METADATA_KEY: json.dumps(described)})
        # Otherwise a power cut may leave the name without the bytes.
        with temporary.open("rb") as file:
            os.fsync(file.fileno())


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Reads what `write_arrays` wrote, or a checkpoint of version 0.1.

    Returns:
        Key -> array, and the text that came with them. The keys of version 0.1 are positions, as in
        `model/00000`, in the order of the variables.

    Raises:
        InputError: the file is missing or damaged.
    """
    if path.suffix == OLD_SUFFIX:
        with _open_old(path) as file:
            return {key: file[key] for key in file if key != _OLD_TEXT}, _old_text(file)
    with _open(path) as file:
        arrays = file.get_tensors()
        return arrays, _verify(file, arrays)


def read_text(path: Path) -> str:
    """Returns the text that came with the arrays, once the whole file is verified.

    Raises:
        InputError: the file is missing or damaged.
    """
    if path.suffix == OLD_SUFFIX:
        with _open_old(path) as file:
            return _old_text(file)
    with _open(path) as file:
        return _verify(file, _Lazy(file))


class _Lazy(Mapping[str, np.ndarray]):
    """The arrays of an open file, each of which is read when it is asked for."""

    def __init__(self, file):
        self._file = file

    def __getitem__(self, key: str) -> np.ndarray:
        return self._file.get_tensor(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._file.keys())

    def __len__(self) -> int:
        return len(self._file.keys())


@contextmanager
def _open(path: Path) -> Iterator:
    try:
        # Python's own error says why a file is missing.
        with path.open("rb"):
            pass
        with safe_open(path, framework="numpy") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: {_DAMAGED}: {error.strerror or error}") from error
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = shown(" ".join(str(error).split())[:200])
        raise InputError(f"{path}: {_DAMAGED}: {reason}") from error


def _verify(file, arrays: Mapping[str, np.ndarray]) -> str:
    """Compares arrays with the file's checksum; returns the text that came with them."""
    described = parse_json(file.metadata()[METADATA_KEY])
    if described["sha256"] != checksum(arrays, described["text"]):
        raise ValueError("its bytes are not those of its checksum")
    return described["text"]


def checksum(arrays: Mapping[str, np.ndarray], text: str) -> str:
    """Returns the SHA-256, in hexadecimal, of arrays and the text that comes with them."""
    digest = hashlib.sha256(text.encode())
    for key in sorted(arrays):
        array = arrays[key]
        digest.update(f"\0{key}\0{array.dtype.name}\0{array.shape}\0".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


@contextmanager
def _naming_errors() -> Iterator[None]:
    """Makes an OSError of what safetensors says of a full disk: "... (os error 28)"."""
    try:
        yield
    except SafetensorError as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


# ------------------------------------------------------------------------------------ version 0.1
# The last bytes of the file, in the zip's comment: the SHA-256 of all before them, in hexadecimal.
_OLD_CHECKSUM_BYTES = 64
_OLD_TEXT = "progress"


@contextmanager
def _open_old(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END) - _OLD_CHECKSUM_BYTES
            file.seek(max(size, 0))
            checksum = file.read()
            file.seek(0)
            digest = _digest_of_bytes(file, size)
    except OSError as error:
        raise InputError(f"{path}: {_DAMAGED}: {error.strerror or error}") from error
    if size <= 0 or checksum != digest.encode():
        raise InputError(f"{path}: {_DAMAGED}: its bytes are not those of its checksum")
    with reading_npz(path, _DAMAGED) as arrays:
        yield arrays


def _old_text(file: Mapping[str, np.ndarray]) -> str:
    return str(file[_OLD_TEXT]) if _OLD_TEXT in file else ""


def _digest_of_bytes(file, size: int) -> str:
    digest = hashlib.sha256()
    while size > 0 and (block := file.read(min(size, 1 << 22))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()
