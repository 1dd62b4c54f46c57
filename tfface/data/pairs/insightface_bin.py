"""InsightFace's `.bin` verification sets, such as lfw.bin, agedb_30.bin and cfp_fp.bin.

A file is a pickle of (images, labels): 2 n encoded images, of which 2 i and 2 i + 1 are pair i, and
n booleans, true for a genuine pair. Images are Python 2 strings, bytes, or uint8 arrays of shape
[n] or [n, 1], depending on the tool and the Python that wrote them. Both lists may be arrays.
"""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tfface import safe_pickle
from tfface.data.pairs.pair_set import PairSet, pairs_of_neighbors, slot_name
from tfface.errors import InputError, shown
from tfface.file_kind import START_BYTES, other_kind
from tfface.files import os_errors
from tfface.safe_pickle import PickleError

DESCRIPTION = "an InsightFace .bin file"


def matches(source: str) -> bool:
    return source.lower().endswith((".bin", ".bin.gz")) and not Path(source).is_dir()


def load(source: str, name: str, images_dir: Path | None) -> PairSet:
    """Reads a file without running code from it.

    Byte-identical images are listed once. Pairs keep the file's order, in which published results
    split them into folds.

    Args:
        source: the file.
        name: of the set.
        images_dir: not used.

    Returns:
        The pairs.

    Raises:
        InputError: the file isn't such a set, is cut short, or would run code.
    """
    path = Path(source)
    with os_errors(path):
        data = path.read_bytes()
    if kind := other_kind(data[:START_BYTES]):
        raise InputError(f"{path}: not a verification set, but {kind}")
    try:
        content = read_pickle(data)
    except PickleError as error:
        raise InputError(f"{path}: {error}") from error
    if not (isinstance(content, list | tuple) and len(content) == 2):
        raise InputError(f"{path}: not a verification set: expected a pair (images, labels)")
    images, labels = content
    if isinstance(images, Array) and images.type == "O":
        images = images.items()
    if not isinstance(images, list | tuple):
        raise InputError(f"{path}: not a verification set: the images are no list")
    is_genuine = _labels(path, labels)
    if len(images) != 2 * len(is_genuine) or not len(images):
        raise InputError(
            f"{path}: {len(images)} images and {len(is_genuine)} labels: expected two images for "
            "each label, and at least one label"
        )
    position: dict[bytes, int] = {}
    # An object may occur many times; it is hashed once.
    position_of_object: dict[int, int] = {}
    names, slots = [], []
    for slot, image in enumerate(images):
        encoded = _encoded(path, slot, image)
        if id(encoded) not in position_of_object:
            content = bytes(encoded)
            if content not in position:
                position[content] = len(position)
                names.append(f"{path}: {slot_name(slot)}")
            position_of_object[id(encoded)] = position[content]
        slots.append(position_of_object[id(encoded)])
    return pairs_of_neighbors(name, list(position), names, slots, is_genuine)


def _encoded(path: Path, slot: int, image: object) -> bytes | bytearray:
    """Returns an object that `images` refers to, so that its id stays unique."""
    if isinstance(image, bytes | bytearray):
        return image
    if isinstance(image, Array) and image.type == "u1" and image.is_flat:
        return image.data
    what = f"an array of {image.shape}" if isinstance(image, Array) else type(image).__name__
    raise InputError(f"{path}: {slot_name(slot)} is {what}: expected the bytes of an encoded image")


def _labels(path: Path, labels: object) -> np.ndarray:
    if isinstance(labels, Array) and labels.is_flat:
        labels = labels.items()
    if not isinstance(labels, list | tuple) or not all(
        isinstance(label, int) and label in (0, 1) for label in labels
    ):
        raise InputError(f"{path}: the labels are not a list of booleans")
    return np.array(labels, bool)


# ---------------------------------------------------------------- the pickle's NumPy arrays


# Bytes of an item by NumPy's type code; objects are counted.
_ITEM_BYTES = {
    **{"u1": 1, "b1": 1, "i1": 1, "i2": 2, "i4": 4, "i8": 8, "u2": 2, "u4": 4, "u8": 8},
    "O": 1,
}


@dataclass
class Array:
    """A NumPy array in the file, in C order.

    Attributes:
        shape: of the array.
        type: "u1" (uint8), "b1" (bool), another integer type of `_ITEM_BYTES`, or "O" (objects).
        data: the items as bytes; a list of objects.
        order: of the bytes of an item, "<" or ">".
    """

    shape: tuple[int, ...] = ()
    type: str = ""
    data: bytes | bytearray | list = b""
    order: str = "<"

    @property
    def is_flat(self) -> bool:
        """Whether the array is a row or a column."""
        return len(self.data) // _ITEM_BYTES[self.type] in self.shape

    def items(self) -> list:
        """Returns all items as a list, numbers as ints."""
        if isinstance(self.data, list):
            return self.data
        return np.frombuffer(self.data, f"{self.order}{self.type}").astype(np.int64).tolist()

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, _, data = state
        filled = _array(data, kind, shape)
        # In place, because the memo may refer to it.
        self.shape, self.type, self.data = filled.shape, filled.type, filled.data
        self.order = filled.order


@dataclass
class _Type:
    """A NumPy dtype: a key of `_ITEM_BYTES`, and the byte order."""

    code: str
    order: str = "<"

    def __setstate__(self, state: tuple) -> None:
        # Version, byte order, and fields of structured types.
        self.order = ">" if state[1] in (">", b">") else "<"


def read_pickle(data: bytes) -> Any:
    """Reads a pickle of plain data and NumPy arrays, as `safe_pickle.read_pickle`.

    Args:
        data: the pickle.

    Returns:
        Its content, with arrays as `Array`.

    Raises:
        PickleError: it is cut short or damaged, or holds anything else than plain data.
    """
    return safe_pickle.read_pickle(data, "verification set", _NAMES)


def _array(data: object, kind: object, shape: object) -> Array:
    if not isinstance(kind, _Type):
        raise TypeError("an array without its type")
    if not isinstance(data, list if kind.code == "O" else bytes | bytearray):
        raise TypeError("an array without its bytes")
    # NumPy has no arrays of more dimensions.
    if not isinstance(shape, tuple) or len(shape) > 32:
        raise TypeError("an array without a proper shape")
    if not all(isinstance(n, int) and 0 <= n < 2**48 for n in shape):
        raise TypeError("an array whose shape is no counts")
    if prod(shape) * _ITEM_BYTES[kind.code] != len(data):
        raise ValueError(f"an array of {shape} with {len(data)} bytes")
    return Array(shape, kind.code, data, kind.order)


def _make_type(code: object, *arguments: object) -> _Type:
    code = code.decode("ascii") if isinstance(code, bytes) else code
    if not isinstance(code, str):
        raise TypeError("a type without a name")
    order = ">" if code.startswith(">") else "<"
    plain = {"O8": "O", "O4": "O"}.get(code, code.lstrip("|<>="))
    if plain not in _ITEM_BYTES:
        raise PickleError(
            f"refused: the pickle holds an array of type {shown(code)}; expected u1 (uint8), "
            "b1 (bool), or whole numbers"
        )
    return _Type(plain, order)


def _scalar(kind: object, data: object) -> bool | int:
    array = _array(data, kind, (1,))
    value = array.items()[0]
    return bool(value) if array.type == "b1" else value


_NAMES = {
    "numpy.ndarray": None,
    "numpy.dtype": _make_type,
    "numpy.core.multiarray._reconstruct": lambda *arguments: Array(),
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": lambda data, kind, shape, order: _array(data, kind, shape),
}
