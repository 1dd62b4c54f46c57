"""A reader of pickles that can't run code: it knows data, and a handful of names by heart.

Python's `pickle` calls whatever a file tells it to. This reader is a small machine of its own for
the instructions that lists, numbers, strings and NumPy arrays are made of. The functions that
NumPy's pickles name are looked up in `_KNOWN`, where inert stand-ins wait; any other name, and any
other instruction, is refused. Nothing is imported and nothing is called by the file.

Memory stays within a few times the file's size: whatever an instruction makes is either cut from
the file's own bytes or a reference to what is there already.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod


class PickleError(Exception):
    """The bytes are no pickle of plain data; the message says why."""


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


@dataclass
class _Known:
    """A name the file may use, and what stands in for it."""

    name: str
    call: Callable[["_Machine", tuple], object] | None


@dataclass
class _Machine:
    """The state of reading: a stack, the stacks below it, and what was put aside for reuse."""

    stack: list = field(default_factory=list)
    below: list[list] = field(default_factory=list)
    memo: dict[int, object] = field(default_factory=dict)
    # Text that was turned to bytes, so that a file can't have the same text turned often.
    encoded: dict[str, bytes] = field(default_factory=dict)

    def pop_to_mark(self) -> list:
        items, self.stack = self.stack, self.below.pop()
        return items


def read_pickle(data: bytes) -> object:
    """Returns the content of a pickle of plain data.

    Returns: lists, tuples, bool, int, str, bytes, None and `Array`, nested.

    Raises PickleError: it is cut short or damaged, or holds anything else than plain data.
    """
    machine = _Machine()
    position = 0
    try:
        for instruction, argument, position in pickletools.genops(data):
            if instruction.name == "STOP":
                return machine.stack.pop()
            if instruction.name not in _INSTRUCTIONS:
                raise PickleError(
                    f"refused: the pickle uses the instruction {instruction.name} at byte "
                    f"{position}, which no verification set needs"
                )
            _INSTRUCTIONS[instruction.name](machine, argument)
    # What genops raises on damaged bytes, and the machine on instructions that don't fit together.
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise PickleError(
            f"cut short or damaged: not a whole pickle (after byte {position} of {len(data)}: "
            f"{error})"
        ) from error
    raise PickleError(f"cut short: the pickle has no end ({len(data)} bytes)")


# ---------------------------------------------------------------- instructions


def _push(machine: _Machine, value: object) -> None:
    machine.stack.append(value)


def _push_latin1(machine: _Machine, value: str) -> None:
    # A string of Python 2 is bytes; pickletools shows it as text.
    machine.stack.append(value.encode("latin-1"))


def _push_tuple(size: int) -> Callable[[_Machine, object], None]:
    def push(machine: _Machine, _: object) -> None:
        if len(machine.stack) < size:
            raise IndexError("nothing left to make a tuple of")
        items = machine.stack[len(machine.stack) - size :]
        del machine.stack[len(machine.stack) - size :]
        machine.stack.append(tuple(items))

    return push


def _mark(machine: _Machine, _: object) -> None:
    machine.below.append(machine.stack)
    machine.stack = []


def _append(machine: _Machine, _: object) -> None:
    item = machine.stack.pop()
    _list(machine.stack[-1]).append(item)


def _appends(machine: _Machine, _: object) -> None:
    items = machine.pop_to_mark()
    _list(machine.stack[-1]).extend(items)


def _list(value: object) -> list:
    if not isinstance(value, list):
        raise TypeError(f"can't append to {type(value).__name__}")
    return value


def _put(machine: _Machine, key: int) -> None:
    machine.memo[key] = machine.stack[-1]


def _name(machine: _Machine, name: str) -> None:
    """Looks up "module name"."""
    name = name.replace(" ", ".")
    # NumPy 2 calls numpy.core numpy._core; both are the same to us.
    known = name.replace("numpy._core.", "numpy.core.").replace("__builtin__.", "builtins.")
    if known not in _KNOWN:
        raise PickleError(
            f"refused: the pickle calls {name}, which no verification set needs; nothing of it was "
            "run"
        )
    machine.stack.append(_Known(known, _KNOWN[known]))


def _stack_name(machine: _Machine, _: object) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    _name(machine, f"{module} {name}")


def _reduce(machine: _Machine, _: object) -> None:
    arguments, known = machine.stack.pop(), machine.stack.pop()
    if not isinstance(known, _Known) or known.call is None or not isinstance(arguments, tuple):
        raise PickleError("refused: the pickle calls something that isn't a function it may name")
    machine.stack.append(known.call(machine, arguments))


def _build(machine: _Machine, _: object) -> None:
    state, target = machine.stack.pop(), machine.stack[-1]
    if isinstance(target, Array):
        _, shape, kind, _, data = state
        filled = _array(data, kind, shape)
        # In place: the memo may refer to it.
        target.shape, target.type, target.data = filled.shape, filled.type, filled.data
    elif not isinstance(target, _Type):
        raise TypeError(f"{type(target).__name__} has no state")
    # The state of a dtype is its byte order and the like: nothing to one-byte items.


_INSTRUCTIONS: dict[str, Callable[[_Machine, object], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "NONE": _push,
    "NEWTRUE": lambda machine, _: _push(machine, True),
    "NEWFALSE": lambda machine, _: _push(machine, False),
    "INT": _push,
    "BININT": _push,
    "BININT1": _push,
    "BININT2": _push,
    "LONG1": _push,
    "BINSTRING": _push_latin1,
    "SHORT_BINSTRING": _push_latin1,
    "BINBYTES": _push,
    "SHORT_BINBYTES": _push,
    "BINBYTES8": _push,
    "BYTEARRAY8": lambda machine, value: _push(machine, bytes(value)),
    "BINUNICODE": _push,
    "SHORT_BINUNICODE": _push,
    "BINUNICODE8": _push,
    "EMPTY_LIST": lambda machine, _: _push(machine, []),
    "EMPTY_TUPLE": lambda machine, _: _push(machine, ()),
    "MARK": _mark,
    "LIST": lambda machine, _: _push(machine, machine.pop_to_mark()),
    "TUPLE": lambda machine, _: _push(machine, tuple(machine.pop_to_mark())),
    "TUPLE1": _push_tuple(1),
    "TUPLE2": _push_tuple(2),
    "TUPLE3": _push_tuple(3),
    "APPEND": _append,
    "APPENDS": _appends,
    "POP": lambda machine, _: machine.stack.pop(),
    "POP_MARK": lambda machine, _: machine.pop_to_mark(),
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": lambda machine, _: _put(machine, len(machine.memo)),
    "GET": lambda machine, key: _push(machine, machine.memo[key]),
    "BINGET": lambda machine, key: _push(machine, machine.memo[key]),
    "LONG_BINGET": lambda machine, key: _push(machine, machine.memo[key]),
    "GLOBAL": _name,
    "STACK_GLOBAL": _stack_name,
    "REDUCE": _reduce,
    "BUILD": _build,
}


# ---------------------------------------------------------------- stand-ins


def _array(data: object, kind: object, shape: object) -> Array:
    if isinstance(data, str):
        data = data.encode("latin-1")
    if not isinstance(kind, _Type) or not isinstance(data, bytes):
        raise TypeError("an array without its bytes or its type")
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise TypeError(f"an array of shape {shape}")
    if prod(shape) != len(data):
        raise ValueError(f"an array of {shape} with {len(data)} bytes")
    return Array(shape, kind.code, data)


def _make_type(machine: _Machine, arguments: tuple) -> _Type:
    code = arguments[0].decode("ascii") if isinstance(arguments[0], bytes) else arguments[0]
    code = {"|u1": "u1", "|b1": "b1"}.get(code, code)
    if code not in ("u1", "b1"):
        raise PickleError(
            f"refused: the pickle holds an array of type {code}; expected u1 (uint8) or b1 (bool)"
        )
    return _Type(code)


def _scalar(machine: _Machine, arguments: tuple) -> bool | int:
    kind, data = arguments
    value = _array(_to_bytes(machine, (data, "latin1")), kind, (1,)).data[0]
    return bool(value) if kind.code == "b1" else value


def _from_buffer(machine: _Machine, arguments: tuple) -> Array:
    data, kind, shape, _ = arguments
    return _array(data, kind, shape)


def _to_bytes(machine: _Machine, arguments: tuple) -> bytes:
    """bytes(), bytes(b"..") and text of Latin-1, as the protocols below 3 spell bytes."""
    if not arguments:
        return b""
    if isinstance(arguments[0], bytes):
        return arguments[0]
    text, encoding = arguments
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", b"latin1", b"latin-1"):
        raise TypeError("bytes of something that is not Latin-1 text")
    if text not in machine.encoded:
        machine.encoded[text] = text.encode("latin-1")
    return machine.encoded[text]


_KNOWN: dict[str, Callable[[_Machine, tuple], object] | None] = {
    "numpy.ndarray": None,
    "numpy.dtype": _make_type,
    "numpy.core.multiarray._reconstruct": lambda machine, arguments: Array(),
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _from_buffer,
    "_codecs.encode": _to_bytes,
    "builtins.bytes": _to_bytes,
    "builtins.bytearray": _to_bytes,
}
