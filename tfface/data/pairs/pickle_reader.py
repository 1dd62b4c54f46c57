"""What the pickles of verification sets hold: lists and NumPy arrays of bytes; no code is run."""

from dataclasses import dataclass
from math import prod

import numpy as np

from tfface import plain_pickle
from tfface.errors import shown
from tfface.plain_pickle import Machine, PickleError, Vocabulary, to_bytes

# Of each type of array, which is called as NumPy does; of objects those are counted.
_ITEM_BYTES = {
    **{"u1": 1, "b1": 1, "i1": 1, "i2": 2, "i4": 4, "i8": 8, "u2": 2, "u4": 4, "u8": 8},
    "O": 1,
}


@dataclass
class Array:
    """A NumPy array as it lies in the file: C order.

    Attributes:
        shape: of the array.
        type: "u1" (uint8), "b1" (bool), another of `_ITEM_BYTES` (whole numbers), or "O" (objects).
        data: the items, as bytes; of objects the list of them.
        order: of the bytes of an item, "<" or ">".
    """

    shape: tuple[int, ...] = ()
    type: str = ""
    data: bytes | list = b""
    order: str = "<"

    @property
    def is_flat(self) -> bool:
        """Whether it's a row or a column of items, not a picture of them."""
        return len(self.data) // _ITEM_BYTES[self.type] in self.shape

    def items(self) -> list:
        """Returns all items in a row: of numbers ints."""
        if isinstance(self.data, list):
            return self.data
        return np.frombuffer(self.data, f"{self.order}{self.type}").astype(np.int64).tolist()


@dataclass
class _Type:
    """A NumPy dtype: a key of `_ITEM_BYTES`, and the order of its bytes."""

    code: str
    order: str = "<"


def read_pickle(data: bytes) -> object:
    """Returns the content of a pickle of plain data.

    Returns: lists, tuples, bool, int, str, bytes, None and `Array`, nested.

    Raises PickleError: it is cut short or damaged, or holds anything else than plain data.
    """
    return plain_pickle.read_pickle(data, _VOCABULARY)


def _set_state(target: object, state: object) -> None:
    if isinstance(target, Array):
        _, shape, kind, _, data = state
        filled = _array(data, kind, shape)
        # In place: the memo may refer to it.
        target.shape, target.type, target.data = filled.shape, filled.type, filled.data
        target.order = filled.order
    elif isinstance(target, _Type):
        # Its version and byte order, and what structures have.
        target.order = ">" if state[1] in (">", b">") else "<"
    else:
        raise TypeError(f"{type(target).__name__} has no state")


def _array(data: object, kind: object, shape: object) -> Array:
    if not isinstance(kind, _Type) or not isinstance(data, list if kind.code == "O" else bytes):
        raise TypeError("an array without its bytes or its type")
    # NumPy has no arrays of more dimensions.
    if not isinstance(shape, tuple) or len(shape) > 32:
        raise TypeError("an array without a proper shape")
    if not all(isinstance(n, int) and 0 <= n < 2**48 for n in shape):
        raise TypeError("an array whose shape is no counts")
    if prod(shape) * _ITEM_BYTES[kind.code] != len(data):
        raise ValueError(f"an array of {shape} with {len(data)} bytes")
    return Array(shape, kind.code, data, kind.order)


def _make_type(machine: Machine, arguments: tuple) -> _Type:
    code = arguments[0].decode("ascii") if isinstance(arguments[0], bytes) else arguments[0]
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


def _scalar(machine: Machine, arguments: tuple) -> bool | int:
    kind, data = arguments
    value = _array(to_bytes(machine, (data, "latin1")), kind, (1,)).items()[0]
    return bool(value) if kind.code == "b1" else value


def _from_buffer(machine: Machine, arguments: tuple) -> Array:
    data, kind, shape, _ = arguments
    return _array(data, kind, shape)


_VOCABULARY = Vocabulary(
    file_kind="verification set",
    names={
        "numpy.ndarray": None,
        "numpy.dtype": _make_type,
        "numpy.core.multiarray._reconstruct": lambda machine, arguments: Array(),
        "numpy.core.multiarray.scalar": _scalar,
        "numpy.core.numeric._frombuffer": _from_buffer,
        "_codecs.encode": to_bytes,
        "builtins.bytes": to_bytes,
        "builtins.bytearray": to_bytes,
    },
    set_state=_set_state,
)
