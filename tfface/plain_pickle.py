"""A reader of pickles that can't run code: it knows data, and a handful of names by heart.

Python's `pickle` calls whatever a file tells it to. This reader is a small machine of its own for
the instructions that lists, numbers, strings and arrays are made of. The functions that a kind of
file names are looked up in its `Vocabulary`, where inert stand-ins wait; any other name, and any
other instruction, is refused. Nothing is imported and nothing is called by the file.

Whatever an instruction makes is either cut from the file's own bytes, or an object of a fixed size
that refers to what is there already: some 100 bytes for one byte of the file. So there is a limit
to how many objects a file may make, by its size, and to its instructions, which take a microsecond
each.
"""

import codecs
import io
import mmap
import pickletools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tfface.errors import shown

_BY_CODE = {instruction.code: instruction for instruction in pickletools.opcodes}


class PickleError(Exception):
    """The bytes are no pickle of plain data; the message says why."""


@dataclass(frozen=True)
class Vocabulary:
    """What a kind of file may say beyond lists, tuples, numbers and text.

    Attributes:
        file_kind: for messages, such as "verification set".
        names: "module.name" -> the inert stand-in of a function, given the machine and the
            arguments; or None of what may be named but not called.
        set_state: given an object that a stand-in made and the state that the file gives it.
        instructions: further ones, such as `DICTIONARIES`.
        load_persistent: given the id of an object that lies outside of the pickle.
    """

    file_kind: str
    names: Mapping[str, Callable[["Machine", tuple], object] | None]
    set_state: Callable[[object, object], None]
    instructions: Mapping[str, "Instruction"] = field(default_factory=dict)
    load_persistent: Callable[[object], object] | None = None


@dataclass
class Known:
    """A name the file may use, and what stands in for it."""

    name: str
    call: Callable[["Machine", tuple], object] | None


@dataclass
class Machine:
    """The state of reading: a stack, the stacks below it, and what was put aside for reuse."""

    vocabulary: Vocabulary
    stack: list = field(default_factory=list)
    below: list[list] = field(default_factory=list)
    memo: dict[int, object] = field(default_factory=dict)
    # Text that was turned to bytes, so that a file can't have the same text turned often.
    encoded: dict[str, bytes] = field(default_factory=dict)

    def pop_to_mark(self) -> list:
        items, self.stack = self.stack, self.below.pop()
        return items


# Changes the machine; its argument is what pickletools reads for an instruction of this name.
Instruction = Callable[[Machine, Any], object]


def read_pickle(data: bytes | mmap.mmap, vocabulary: Vocabulary) -> object:
    """Returns the content of a pickle of plain data.

    Args:
        data: the bytes; or a memory map, whose position is moved to the pickle's end.
    Returns: lists, tuples, bool, int, str, bytes, None, and what the vocabulary makes, nested.

    Raises PickleError: it is cut short or damaged, or holds anything else than plain data.
    """
    machine = Machine(vocabulary)
    instructions = {**_INSTRUCTIONS, **vocabulary.instructions}
    position: int | None = 0
    num_left = _MOST_INSTRUCTIONS
    num_objects_left = _ALWAYS_MADE + len(data) // _BYTES_OF_AN_OBJECT
    try:
        for instruction, argument, position in _instructions(data):
            if instruction.name == "STOP":
                return machine.stack.pop()
            if instruction.name not in instructions:
                raise PickleError(
                    f"refused: the pickle uses the instruction {instruction.name} at byte "
                    f"{position}, which no {vocabulary.file_kind} needs"
                )
            num_left -= 1
            num_objects_left -= instruction.name not in _MAKE_NOTHING
            if num_left < 0 or num_objects_left < 0:
                raise PickleError(
                    f"refused: the pickle's {len(data):,} bytes make more objects than the images "
                    "or tensors of such a file need"
                )
            instructions[instruction.name](machine, argument)
    # What pickletools raises on damaged bytes, and the machine on instructions that don't fit.
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise PickleError(
            f"cut short or damaged: not a whole pickle (after byte {position} of {len(data)}: "
            f"{shown(str(error))})"
        ) from error
    raise PickleError(f"cut short: the pickle has no end ({len(data)} bytes)")


def _instructions(
    data: bytes | mmap.mmap,
) -> Iterator[tuple[pickletools.OpcodeInfo, Any, int]]:
    """As `pickletools.genops`, which takes the text of Python 2's protocol 0 for ASCII."""
    file: Any = io.BytesIO(data) if isinstance(data, bytes) else data
    while True:
        position = file.tell()
        code = file.read(1).decode("latin-1")
        if code not in _BY_CODE:
            raise ValueError(f"no instruction is called {code!r}" if code else "no end")
        instruction = _BY_CODE[code]
        argument: Any
        if instruction.name == "STRING":
            argument = _read_quoted(file)
        else:
            argument = instruction.arg.reader(file) if instruction.arg else None
        yield instruction, argument, position
        if instruction.name == "STOP":
            return


def _read_quoted(file: Any) -> bytes:
    """Reads a line with a string of Python 2 as it is written in a program."""
    line = file.readline()
    if len(line) < 3 or line[-1:] != b"\n" or line[:1] not in b"'\"" or line[-2:-1] != line[:1]:
        raise ValueError("a string without its quotes")
    return codecs.escape_decode(line[1:-2])[0]


# ---------------------------------------------------------------- instructions


def _push(machine: Machine, value: object) -> None:
    machine.stack.append(value)


def _push_latin1(machine: Machine, value: str) -> None:
    # A string of Python 2 is bytes; pickletools shows it as text.
    machine.stack.append(value.encode("latin-1"))


def _push_tuple(size: int) -> Instruction:
    def push(machine: Machine, _: object) -> None:
        if len(machine.stack) < size:
            raise IndexError("nothing left to make a tuple of")
        items = machine.stack[len(machine.stack) - size :]
        del machine.stack[len(machine.stack) - size :]
        machine.stack.append(tuple(items))

    return push


def _mark(machine: Machine, _: object) -> None:
    machine.below.append(machine.stack)
    machine.stack = []


def _append(machine: Machine, _: object) -> None:
    item = machine.stack.pop()
    _list(machine.stack[-1]).append(item)


def _appends(machine: Machine, _: object) -> None:
    items = machine.pop_to_mark()
    _list(machine.stack[-1]).extend(items)


def _list(value: object) -> list:
    if not isinstance(value, list):
        raise TypeError(f"can't append to {type(value).__name__}")
    return value


def _put(machine: Machine, key: int) -> None:
    # As in the binary form; larger numbers can be chosen so that a dictionary mixes them up.
    if not 0 <= key < 2**32:
        raise ValueError("a place beyond those that there are")
    machine.memo[key] = machine.stack[-1]


def _name(machine: Machine, name: str) -> None:
    """Looks up "module name"."""
    name = name.replace(" ", ".")
    # NumPy 2 calls numpy.core numpy._core; both are the same to us.
    known = name.replace("numpy._core.", "numpy.core.").replace("__builtin__.", "builtins.")
    names = machine.vocabulary.names
    if known not in names:
        raise PickleError(
            f"refused: the pickle calls {shown(name)}, which no "
            f"{machine.vocabulary.file_kind} needs; nothing of it was run"
        )
    machine.stack.append(Known(known, names[known]))


def _stack_name(machine: Machine, _: object) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    # Made to text, nested tuples can be of any length.
    if not isinstance(name, str) or not isinstance(module, str):
        raise TypeError("a name that is no text")
    _name(machine, f"{module} {name}")


def _reduce(machine: Machine, _: object) -> None:
    arguments, known = machine.stack.pop(), machine.stack.pop()
    if not isinstance(known, Known) or known.call is None or not isinstance(arguments, tuple):
        raise PickleError("refused: the pickle calls something that isn't a function it may name")
    machine.stack.append(known.call(machine, arguments))


def _build(machine: Machine, _: object) -> None:
    state, target = machine.stack.pop(), machine.stack[-1]
    machine.vocabulary.set_state(target, state)


_INSTRUCTIONS: dict[str, Instruction] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "NONE": _push,
    "NEWTRUE": lambda machine, _: _push(machine, True),
    "NEWFALSE": lambda machine, _: _push(machine, False),
    "INT": _push,
    "BININT": _push,
    "BININT1": _push,
    "BININT2": _push,
    "LONG": _push,
    "LONG1": _push,
    "STRING": _push,
    "BINSTRING": _push_latin1,
    "SHORT_BINSTRING": _push_latin1,
    "BINBYTES": _push,
    "SHORT_BINBYTES": _push,
    "BINBYTES8": _push,
    "BYTEARRAY8": lambda machine, value: _push(machine, bytes(value)),
    "UNICODE": _push,
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


def _set_item(machine: Machine, _: object) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _fill(machine.stack[-1], [key, value])


def _set_items(machine: Machine, _: object) -> None:
    items = machine.pop_to_mark()
    _fill(machine.stack[-1], items)


def _dictionary(machine: Machine, _: object) -> None:
    items = machine.pop_to_mark()
    machine.stack.append({})
    _fill(machine.stack[-1], items)


def _fill(target: object, items: list) -> None:
    if not isinstance(target, dict):
        raise TypeError(f"can't put items into {type(target).__name__}")
    for key, value in zip(items[::2], items[1::2], strict=True):
        # Python looks into tuples without a limit of depth to tell them apart.
        if not isinstance(key, str | bytes | int | float | None):
            raise TypeError(f"a {type(key).__name__} as a key")
        # Of larger numbers, very many can be chosen that a dictionary mixes up.
        if isinstance(key, int) and abs(key) >= 2**63:
            raise TypeError("a number of more than 64 bits as a key")
        target[key] = value


def _load_persistent(machine: Machine, _: object) -> None:
    if machine.vocabulary.load_persistent is None:
        raise TypeError("an object outside of the pickle")
    machine.stack.append(machine.vocabulary.load_persistent(machine.stack.pop()))


# These make no object of their own; all others do.
_NAMES_OF_THOSE = """
    PROTO FRAME NONE NEWTRUE NEWFALSE BININT1 EMPTY_TUPLE APPEND APPENDS POP POP_MARK
    GET BINGET LONG_BINGET BUILD SETITEM SETITEMS
    """
_MAKE_NOTHING = frozenset(_NAMES_OF_THOSE.split())
# As many as three million pairs need, which take half a minute.
_MOST_INSTRUCTIONS = 20_000_000
# Those of 100,000 labels that are NumPy's, whatever the file's size; and 12 for each image of 200
# bytes, which is a small one.
_ALWAYS_MADE = 2_000_000
_BYTES_OF_AN_OBJECT = 16

# For vocabularies of files that hold them.
DICTIONARIES: dict[str, Instruction] = {
    "EMPTY_DICT": lambda machine, _: _push(machine, {}),
    "DICT": _dictionary,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "FLOAT": _push,
    "BINFLOAT": _push,
    "NEWOBJ": _reduce,
    "BINPERSID": _load_persistent,
}


# ---------------------------------------------------------------- stand-ins


def to_bytes(machine: Machine, arguments: tuple) -> bytes:
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
