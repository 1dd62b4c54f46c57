"""Readers of files with named arrays: .npz and .safetensors."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from tfface.errors import InputError, shown
from tfface.files import DAMAGED_ARCHIVE


@dataclass(frozen=True)
class StoredArray:
    """An array of a weights file, which is read when `load` is called.

    Attributes:
        shape: of the array.
        load: reads the array as float32; raises InputError if the file is damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(Path(folder, "weights.npz"), kernel=np.ones((2, 3)))
        ...     array = read_npz(Path(folder, "weights.npz"))["kernel"]
        ...     array.shape, array.load().dtype
        ((2, 3), dtype('float32'))
    """

    shape: tuple[int, ...]
    load: Callable[[], np.ndarray]


def as_float32(data: np.ndarray, kind: str) -> np.ndarray:
    """Converts an array to float32.

    Args:
        data: the array.
        kind: "bfloat16", which NumPy doesn't have, if `data` holds its bits as uint16; else any.

    Returns:
        float32 of the same shape.
    """
    if kind == "bfloat16":
        # The upper half of a float32's bits.
        return (data.astype(np.uint32) << 16).view(np.float32)
    return data.astype(np.float32)


# Those of safetensors that networks have.
_SAFETENSORS = {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"}


def read_npz(path: Path) -> dict[str, StoredArray]:
    """Reads an `.npz` file; pickled objects in it are refused.

    Args:
        path: the file.

    Returns:
        Name -> array.

    Raises:
        InputError: the file is damaged, or contains anything but arrays of numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            return {name.removesuffix(".npy"): _stored_npy(path, archive, name) for name in names}
    except DAMAGED_ARCHIVE as error:
        raise damaged(path, error) from error


def _stored_npy(path: Path, archive: zipfile.ZipFile, name: str) -> StoredArray:
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        # Later versions are for structured types; their headers may have any length.
        if version != (1, 0):
            raise ValueError(f"{name} is of version {version}")
        shape, _, type_ = np.lib.format.read_array_header_1_0(file)
    if type_.kind not in "fiub":
        raise ValueError(f"{name} is of type {type_}, not of numbers")

    def load() -> np.ndarray:
        try:
            # Not np.load, which may return another entry with nearly the same name.
            with zipfile.ZipFile(path) as archive, archive.open(name) as file:
                return as_float32(np.lib.format.read_array(file, allow_pickle=False), type_.name)
        except DAMAGED_ARCHIVE as error:
            raise damaged(path, error) from error

    return StoredArray(shape, load)


def read_safetensors(path: Path) -> dict[str, StoredArray]:
    """Reads a `.safetensors` file.

    Args:
        path: the file.

    Returns:
        Name -> array.

    Raises:
        InputError: the file is damaged, or an array extends beyond its end.
    """
    try:
        # Python's own error says why a file can't be opened.
        path.open("rb").close()
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: _stored_tensor(path, name, each) for name, each in slices.items()}
    except (OSError, ValueError, SafetensorError) as error:
        raise damaged(path, error) from error


def _stored_tensor(path: Path, name: str, described: Any) -> StoredArray:
    if described.get_dtype() not in _SAFETENSORS:
        raise ValueError(f"{shown(name)} is of type {described.get_dtype()}")

    def load() -> np.ndarray:
        try:
            with safe_open(path, framework="numpy") as file:
                array = file.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise damaged(path, error) from error
        return array.astype(np.float32)

    return StoredArray(tuple(described.get_shape()), load)


def damaged(path: Path, reason: object) -> InputError:
    """Returns the error of a file that can't be read; `reason` is of the library that reads it."""
    return InputError(
        f"model.backbone.weights: {path}: cut short or damaged: {' '.join(str(reason).split())}"
    )
