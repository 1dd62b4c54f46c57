"""Reading the arrays of a PyTorch checkpoint without PyTorch, and without running any code of it.

A checkpoint is a pickle of names and of how each tensor lies in a storage, and the bytes of the
storages: as entries of an uncompressed zip (PyTorch 1.6 and later), or one after the other behind
the pickle. The pickle is read by `safe_pickle`; storages are read one tensor at a time.
"""

import mmap
import zipfile
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tfface.backbones.weights.array_files import StoredArray, as_float32
from tfface.errors import InputError
from tfface.files import DAMAGED_ARCHIVE
from tfface.safe_pickle import DICTIONARIES, PickleError, StandIn, read_pickle

# PyTorch's storage -> NumPy's type of its items, and our name of it.
_TYPES = {
    "torch.DoubleStorage": ("f8", "float64"),
    "torch.FloatStorage": ("f4", "float32"),
    "torch.HalfStorage": ("f2", "float16"),
    "torch.BFloat16Storage": ("u2", "bfloat16"),
    "torch.LongStorage": ("i8", "int64"),
    "torch.IntStorage": ("i4", "int32"),
    "torch.ShortStorage": ("i2", "int16"),
    "torch.CharStorage": ("i1", "int8"),
    "torch.ByteStorage": ("u1", "uint8"),
    "torch.BoolStorage": ("u1", "bool"),
}
# Where training scripts put the state dict among other things, the likeliest first.
_NESTED = (
    "state_dict_backbone",
    "model_state_dict",
    "state_dict",
    "model",
    "backbone",
    "encoder",
    "network",
    "net",
)
# Names and sizes; those of ResNet152's tensors are 0.1 MB.
_MOST_PICKLE_BYTES = 2**22
# Of an array in nested dictionaries; one key of a file may stand in many.
_LONGEST_NAME = 300
# What `torch.save` wrote first before it wrote zips.
LEGACY_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")


@dataclass(frozen=True)
class _Storage:
    """Bytes of the file. `checksum`: their CRC-32, where the file has it."""

    start: int
    num_bytes: int
    checksum: int | None = None


@dataclass(frozen=True)
class _StorageName:
    key: str
    type: str


class _Stateless:
    """An object whose state in the pickle does not matter, such as a parameter's hooks."""

    def __setstate__(self, state: object) -> None:
        pass


@dataclass(frozen=True)
class _Tensor(_Stateless):
    """A view of a storage; offset and strides in items."""

    storage: _StorageName
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Dictionary(_Stateless, dict):
    """A state dict, say; its state are the versions of the modules."""


class _Ignored(_Stateless):
    """What a training script kept beside the tensors."""

    def __init__(self, *arguments: object):
        pass


def read_torch_file(path: Path, *, everything: bool = False) -> dict[str, StoredArray]:
    """Returns the arrays of a `.pth` or `.pt` file that `torch.save` wrote, by their names.

    Args:
        path: of the file.
        everything: return the arrays of all dictionaries in it, by names such as
            `state_dict.head.kernel`, in place of those of the model's state dict; a tensor that is
            the whole file is called `tensor`.

    Raises:
        InputError: it is cut short or damaged, claims what it doesn't hold, is a TorchScript, or
            holds anything but tensors and plain values.
    """
    try:
        if zipfile.is_zipfile(path):
            content, storages, order = _read_zip(path)
        else:
            content, storages, order = _read_legacy(path)
        return {
            name: _stored(path, name, tensor, storages, order)
            for name, tensor in (_all_tensors if everything else _tensors)(content).items()
        }
    except PickleError as error:
        raise _error(
            path,
            f"{error}; a checkpoint must hold tensors and plain values alone, as "
            "torch.save(model.state_dict(), path) writes them",
        ) from error
    except DAMAGED_ARCHIVE as error:
        raise _error(path, f"cut short or damaged: {error}") from error


def _error(path: Path, reason: str) -> InputError:
    return InputError(f"model.backbone.weights: {path}: {reason}")


# ---------------------------------------------------------------- the two formats


def _read_zip(path: Path) -> tuple[object, dict[str, _Storage], str]:
    """Returns the pickle's content, the storages by key, and the byte order."""
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise PickleError("no data.pkl in the zip: not a file of torch.save")
        root = pickles[0].removesuffix("data.pkl")
        if f"{root}constants.pkl" in entries:
            raise PickleError("a TorchScript, which is a program")
        if entries[pickles[0]].file_size > _MOST_PICKLE_BYTES:
            raise ValueError(f"a pickle of {entries[pickles[0]].file_size} bytes")
        storages = {}
        for name, entry in entries.items():
            if not name.startswith(root):
                continue
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise ValueError(f"{name} is compressed or encrypted, which torch.save never does")
            if not name.startswith(f"{root}data/"):
                continue
            # The two lengths at the end of the entry's own header, which its bytes follow.
            file.seek(entry.header_offset + 26)
            lengths = np.frombuffer(file.read(4), "<u2")
            start = entry.header_offset + 30 + int(lengths.sum())
            if len(lengths) != 2 or start + entry.file_size > size:
                raise ValueError(f"{name} claims {entry.file_size} bytes, the file has {size}")
            storages[name.removeprefix(f"{root}data/")] = _Storage(
                start, entry.file_size, entry.CRC
            )
        content = _read_pickle(archive.read(pickles[0]), {})
        big = f"{root}byteorder" in entries and archive.read(f"{root}byteorder") == b"big"
    return content, storages, ">" if big else "<"


def _read_legacy(path: Path) -> tuple[object, dict[str, _Storage], str]:
    size = path.stat().st_size
    most = min(size, _MOST_PICKLE_BYTES)
    with path.open("rb") as file, mmap.mmap(file.fileno(), most, access=mmap.ACCESS_READ) as data:
        if data[:4] == b"PK\3\4":
            raise ValueError("the end of the zip is missing")
        # A pickle of another kind is refused before it is read.
        if LEGACY_MAGIC not in data[:32]:
            raise PickleError("not a file of torch.save")
        types: dict[str, str] = {}
        # The magic number, the version, what the system was, the content, the storages' order.
        _, _, system, content, keys = [_read_pickle(data, types) for _ in range(5)]
        little = not isinstance(system, dict) or system.get("little_endian") is not False
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise ValueError("no list of storages")
        storages = {}
        position = data.tell()
        for key in keys:
            if key not in types:
                raise ValueError(f"storage {key} is of an unknown type")
            file.seek(position)
            items = int.from_bytes(file.read(8), "little" if little else "big")
            num_bytes = items * np.dtype(_TYPES[types[key]][0]).itemsize
            position += 8
            if position + num_bytes > size:
                raise ValueError(f"storage {key} claims {num_bytes} bytes, the file has {size}")
            storages[key] = _Storage(position, num_bytes)
            position += num_bytes
    return content, storages, "<" if little else ">"


# ---------------------------------------------------------------- tensors


def _tensors(content: object) -> dict[str, _Tensor]:
    """Returns the state dict in what a training script saved."""
    # Deeper than any script nests it; a file may nest it without end.
    for _ in range(4):
        if not isinstance(content, dict):
            break
        inner = {key: value for key, value in content.items() if isinstance(value, dict)}
        named = next((inner[key] for key in _NESTED if key in inner), None)
        if named is not None:
            content = named
            continue
        if own := _own_tensors(content):
            return own
        # One dict may stand in many places.
        distinct = {id(value): _own_tensors(value) for value in inner.values()}
        found = [tensors for tensors in distinct.values() if tensors]
        if len(found) > 1:
            raise PickleError(f"several state dicts, none of which is called {_NESTED[1]}")
        if found:
            return found[0]
        break
    raise PickleError("no state dict in it")


def _all_tensors(content: object) -> dict[str, _Tensor]:
    """Returns the tensors of all dictionaries in what a training script saved."""
    if isinstance(content, _Tensor):
        return {"tensor": content}
    found: dict[str, _Tensor] = {}
    # One dict may stand in many places.
    seen: set[int] = set()
    left: list[tuple[str, dict]] = [("", content)] if isinstance(content, dict) else []
    while left:
        prefix, content = left.pop()
        if id(content) in seen:
            continue
        seen.add(id(content))
        for key, value in content.items():
            if not isinstance(key, str) or len(prefix) + len(key) > _LONGEST_NAME:
                continue
            if isinstance(value, _Tensor):
                found[f"{prefix}{key}"] = value
            elif isinstance(value, dict):
                left.append((f"{prefix}{key}.", value))
    if not found:
        raise PickleError("no tensors in it")
    return found


def _own_tensors(content: dict) -> dict[str, _Tensor]:
    return {
        key: value
        for key, value in content.items()
        if isinstance(value, _Tensor) and isinstance(key, str)
    }


def _stored(
    path: Path, name: str, tensor: _Tensor, storages: dict[str, _Storage], order: str
) -> StoredArray:
    """Checks where the tensor lies, once and for all; reads nothing."""
    storage = storages[tensor.storage.key]
    code, kind = _TYPES[tensor.storage.type]
    type_ = np.dtype(code).newbyteorder(order)
    # From the first to the last item, whatever lies between.
    num_items = (
        sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True)) + 1
        if prod(tensor.shape)
        else 0
    )
    first = storage.start + tensor.offset * type_.itemsize
    if (tensor.offset + num_items) * type_.itemsize > storage.num_bytes:
        raise ValueError(
            f"{name} {list(tensor.shape)} lies beyond the {storage.num_bytes} bytes of its storage"
        )
    whole = num_items * type_.itemsize == storage.num_bytes

    def load() -> np.ndarray:
        with path.open("rb") as file:
            file.seek(first)
            data = file.read(num_items * type_.itemsize)
        if len(data) != num_items * type_.itemsize:
            raise _error(path, f"cut short: {name} is not all there")
        if whole and storage.checksum is not None and zlib.crc32(data) != storage.checksum:
            raise _error(path, f"damaged: {name} has another checksum than it was written with")
        view = np.lib.stride_tricks.as_strided(
            np.frombuffer(data, type_),
            tensor.shape,
            [step * type_.itemsize for step in tensor.strides],
        )
        return as_float32(view, kind)

    return StoredArray(tensor.shape, load)


# ---------------------------------------------------------------- stand-ins


def _read_pickle(data: bytes | mmap.mmap, types: dict[str, str]) -> Any:
    """Returns a pickle's content; adds the types of the storages that it names to `types`."""

    def load_storage(name: object) -> _StorageName:
        # Five parts, and None of a storage that is no view of another.
        if not isinstance(name, tuple) or len(name) not in (5, 6) or name[0] != "storage":
            raise TypeError("an object outside of the pickle that is no storage")
        _, storage, key, _, num_items, *view = name
        if not isinstance(storage, StandIn) or storage.name not in _TYPES:
            raise TypeError("an object outside of the pickle that is no storage")
        if not isinstance(key, str) or not _are_counts((num_items,)) or any(view):
            raise TypeError("a storage that is part of another, or without a name")
        types[key] = storage.name
        return _StorageName(key, storage.name)

    return read_pickle(
        data, "checkpoint", _NAMES, more_opcodes=DICTIONARIES, persistent_load=load_storage
    )


def _rebuild_tensor(
    storage: object, offset: object, shape: object, strides: object, *more: object
) -> _Tensor:
    if not isinstance(storage, _StorageName) or not isinstance(shape, tuple | list):
        raise TypeError("a tensor without its storage or shape")
    # NumPy has no arrays of more dimensions.
    if len(shape) > 32:
        raise ValueError(f"a tensor of {len(shape)} dimensions")
    if not isinstance(strides, tuple | list) or len(shape) != len(strides):
        raise TypeError("a tensor without as many strides as dimensions")
    if not _are_counts((offset, *shape, *strides)):
        raise TypeError("a tensor whose shape, offset or strides are no counts")
    # Whether it needs a gradient, its hooks, and in some {"neg": True} or {"conj": True}.
    if len(more) > 2 and more[2]:
        raise PickleError("a tensor whose sign is kept apart from its storage")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _are_counts(values: tuple) -> bool:
    return all(type(value) is int and 0 <= value < 2**48 for value in values)


def _rebuild_parameter(tensor: object, *arguments: object) -> _Tensor:
    if not isinstance(tensor, _Tensor):
        raise TypeError("a parameter without its tensor")
    return tensor


def _make_dictionary(*arguments: object) -> _Dictionary:
    """Also that of PyTorch before 0.4, which is given its items in a list."""
    items = arguments[0] if arguments and isinstance(arguments[0], list) else []
    made = _Dictionary((key, value) for key, value in items if isinstance(key, str))
    # Used up, so that a file can't have the same list copied often.
    items.clear()
    return made


_NAMES = {
    **dict.fromkeys(_TYPES),
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "collections.OrderedDict": _make_dictionary,
    "collections.defaultdict": _make_dictionary,
    # The options of a PyTorch Lightning module: a dictionary.
    **dict.fromkeys(
        (
            "pytorch_lightning.utilities.parsing.AttributeDict",
            "lightning_fabric.utilities.data.AttributeDict",
            "lightning.fabric.utilities.data.AttributeDict",
        ),
        _Dictionary,
    ),
    # What stands beside the tensors in checkpoints of training scripts.
    **dict.fromkeys(
        (
            "pytorch_lightning.callbacks.lr_monitor.LearningRateMonitor",
            "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
            "argparse.Namespace",
            "collections.Counter",
            "numpy.core.multiarray.scalar",
            "numpy.dtype",
            "pathlib.PosixPath",
            "torch.Size",
            "torch.device",
        ),
        _Ignored,
    ),
    **{f"torch.{kind}": None for _, kind in _TYPES.values()},
}
