"""Readers of files with named arrays: .npz, .safetensors, and the weights of ONNX models."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from tfface.errors import InputError
from tfface.files import DAMAGED_ARCHIVE, parse_json


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


# Types of safetensors -> NumPy; BF16 is read as its bits.
_SAFETENSORS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "u1",
}
# The limit of the format's own reader.
_MAX_HEADER_BYTES = 100_000_000


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
        raise _damaged(path, error) from error


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
            raise _damaged(path, error) from error

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
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(size - 8, _MAX_HEADER_BYTES):
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            header = parse_json(file.read(length))
        start = 8 + length
        return {
            name: _stored_tensor(path, name, entry, start, size)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, error) from error


def _stored_tensor(path: Path, name: str, entry: dict, start: int, size: int) -> StoredArray:
    if entry["dtype"] not in _SAFETENSORS:
        raise ValueError(f"{name} is of type {entry['dtype']}")
    type_ = np.dtype(_SAFETENSORS[entry["dtype"]])
    first, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if not all(type(n) is int and n >= 0 for n in (first, end, *shape)) or len(shape) > 32:
        raise ValueError(f"{name} has an invalid shape or offset")
    if end - first != prod(shape) * type_.itemsize or start + end > size:
        raise ValueError(f"{name} {list(shape)} does not fit bytes {first} to {end}")

    def load() -> np.ndarray:
        data = np.fromfile(path, type_, count=prod(shape), offset=start + first)
        if data.size != prod(shape):
            raise _damaged(path, f"{name} is incomplete")
        kind = "bfloat16" if entry["dtype"] == "BF16" else type_.name
        return as_float32(data.reshape(shape), kind)

    return StoredArray(shape, load)


def read_onnx(path: Path) -> dict[str, StoredArray]:
    """Reads the weights of an ONNX model.

    Args:
        path: the file.

    Returns:
        Name -> array.

    Raises:
        InputError: the `onnx` package is not installed, or the file is damaged.
    """
    try:
        import onnx
    except ImportError as error:
        raise InputError(
            f"model.backbone.weights: {path}: weights of an .onnx file need the onnx package: "
            "pip install onnx"
        ) from error
    try:
        # The package refuses external data outside of the folder.
        model = onnx.load(path)
    # The package documents no errors; protobuf's is a class of its own.
    except Exception as error:
        raise _damaged(path, error) from error

    def stored(tensor) -> StoredArray:
        def load() -> np.ndarray:
            try:
                return as_float32(onnx.numpy_helper.to_array(tensor), "")
            # It documents no errors here, either.
            except Exception as error:
                raise _damaged(path, f"{tensor.name}: {error}") from error

        return StoredArray(tuple(tensor.dims), load)

    return {tensor.name: stored(tensor) for tensor in model.graph.initializer}


def _damaged(path: Path, reason: object) -> InputError:
    return InputError(
        f"model.backbone.weights: {path}: cut short or damaged: {' '.join(str(reason).split())}"
    )
