"""What the pickles of verification sets hold: lists and NumPy arrays of bytes; no code is run."""

from dataclasses import dataclass
from math import prod

from tfface import plain_pickle
from tfface.errors import shown
from tfface.plain_pickle import Machine, PickleError, Vocabulary, to_bytes


@dataclass
class Array:
    """A NumPy array of one-byte items, as it lies in the file: C order.

    Attributes:
        shape: of the array.
        type: "u1" (uint8) or "b1" (bool).
        data: the items.
    """

    shape: tuple[int, ...] = ()
    type: str = ""
    data: bytes = b""

    @property
    def is_flat(self) -> bool:
        """Whether it's a row or a column of items, not a picture of them."""
        return len(self.data) in self.shape


@dataclass
class _Type:
    """A NumPy dtype."""

    code: str


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
    elif not isinstance(target, _Type):
        raise TypeError(f"{type(target).__name__} has no state")
    # The state of a dtype is its byte order and the like: nothing to one-byte items.


def _array(data: object, kind: object, shape: object) -> Array:
    if not isinstance(kind, _Type) or not isinstance(data, bytes):
        raise TypeError("an array without its bytes or its type")
    # NumPy has no arrays of more dimensions.
    if not isinstance(shape, tuple) or len(shape) > 32:
        raise TypeError("an array without a proper shape")
    if not all(isinstance(n, int) and 0 <= n < 2**48 for n in shape):
        raise TypeError("an array whose shape is no counts")
    if prod(shape) != len(data):
        raise ValueError(f"an array of {shape} with {len(data)} bytes")
    return Array(shape, kind.code, data)


def _make_type(machine: Machine, arguments: tuple) -> _Type:
    code = arguments[0].decode("ascii") if isinstance(arguments[0], bytes) else arguments[0]
    if not isinstance(code, str):
        raise TypeError("a type without a name")
    code = {"|u1": "u1", "|b1": "b1"}.get(code, code)
    if code not in ("u1", "b1"):
        raise PickleError(
            f"refused: the pickle holds an array of type {shown(code)}; expected u1 (uint8) "
            "or b1 (bool)"
        )
    return _Type(code)


def _scalar(machine: Machine, arguments: tuple) -> bool | int:
    kind, data = arguments
    value = _array(to_bytes(machine, (data, "latin1")), kind, (1,)).data[0]
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
