"""Reading pickles of untrusted files: data and allowed names, in bounded time and memory.

`read_pickle` reads a pickle twice. The first pass, over the opcodes that `pickletools` describes,
refuses all that the kind of file does not need, and bounds what the second pass can cost:

- opcodes are those of a list, at most `_MAX_OPCODES`;
- objects are at most so many as images or tensors need, by the size of the file: one byte of a
  pickle can make an object of 100 bytes;
- strings lie in the file whole, and memo indexes are at most the number of opcodes: Python makes
  room for what a length or an index claims;
- dictionary keys are neither tuples, which Python hashes to any depth, nor integers of more than
  64 bits, of which any number can have the same hash;
- functions get at most `_MAX_ARGUMENTS` arguments, since one tuple can be passed many times.

Then `pickle.Unpickler` builds the objects. Its `find_class` knows the allowed names alone, and
stands in for each with an object of ours: nothing is imported, and no code of the file's runs.
"""

import codecs
import functools
import io
import mmap
import pickle
import pickletools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tfface.errors import shown

# As many as three million pairs need; both passes take about 20 seconds for so many.
_MAX_OPCODES = 20_000_000
# Those of 100,000 labels that are NumPy's, whatever the file's size; and 12 for each image of 200
# bytes, which is a small one.
_MIN_OBJECT_LIMIT = 2_000_000
_BYTES_PER_OBJECT = 16
_MAX_ARGUMENTS = 100

# Opcodes that make no object of their own, and those that do.
_FREE_NAMES = """
    PROTO FRAME STOP NONE NEWTRUE NEWFALSE BININT1 EMPTY_TUPLE APPEND APPENDS POP POP_MARK
    GET BINGET LONG_BINGET BUILD
    """
_MAKING_NAMES = """
    INT BININT BININT2 LONG LONG1 STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES
    BINBYTES8 BYTEARRAY8 UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 EMPTY_LIST MARK LIST TUPLE
    TUPLE1 TUPLE2 TUPLE3 PUT BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE
    """
_FREE = frozenset([*_FREE_NAMES.split(), "SETITEM", "SETITEMS"])
_PLAIN = frozenset((_FREE_NAMES + _MAKING_NAMES).split())
# What files with dictionaries need besides.
DICTIONARIES = frozenset(
    ["EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "FLOAT", "BINFLOAT", "NEWOBJ", "BINPERSID"]
)

_BY_CODE = {opcode.code: opcode for opcode in pickletools.opcodes}


class PickleError(Exception):
    """The bytes are not a pickle of plain data; the message says why."""


class StandIn:
    """What an allowed name of a function gives: calls `function`, and has no other behavior.

    `function` is None for a name that a file may mention but not call.
    """

    __slots__ = ("_function", "name")

    def __init__(self, name: str, function: Callable[..., object] | None):
        self.name = name
        self._function = function

    def __call__(self, *arguments: object) -> object:
        if self._function is None:
            raise PickleError(f"refused: the pickle calls {self.name}, which is not a function")
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise TypeError("a function has no state")


def read_pickle(
    data: bytes | mmap.mmap,
    file_kind: str,
    names: Mapping[str, Callable[..., object] | None],
    *,
    more_opcodes: frozenset[str] = frozenset(),
    persistent_load: Callable[[object], object] | None = None,
) -> Any:
    """Returns the content of a pickle of plain data.

    Example:
        >>> read_pickle(pickle.dumps([1, "a"]), "list", {})
        [1, 'a']
        >>> read_pickle(pickle.dumps([1, print]), "list", {})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        tfface.safe_pickle.PickleError: refused: the pickle calls builtins.print, which no list ...

    Args:
        data: the bytes; or a memory map, which is read from its position on, and whose position is
            moved to the pickle's end.
        file_kind: for messages, such as "verification set".
        names: what "module.name" gives: a function that is called with the arguments in the file,
            a class of yours with a `__setstate__` of its own, or None of what may be named but not
            called. Functions that make bytes are known without being listed.
        more_opcodes: allowed besides those of lists, tuples, numbers and strings.
        persistent_load: given the id of an object that lies outside of the pickle.
    Returns: lists, tuples, bool, int, str, bytes, bytearray, None, and what the functions return,
        nested.

    Raises PickleError: it is cut short or damaged, or holds anything else than plain data.
    """
    start = 0 if isinstance(data, bytes) else data.tell()
    end = _check_opcodes(data, file_kind, _PLAIN | more_opcodes)
    whole = data if isinstance(data, bytes) and end == len(data) else data[start:end]
    unpickler = _Unpickler(io.BytesIO(whole), file_kind, names, persistent_load)
    try:
        return unpickler.load()
    # What Python raises on opcodes that do not fit, and functions on such arguments.
    except _ERRORS as error:
        raise PickleError(
            f"cut short or damaged: not a whole pickle ({shown(str(error))})"
        ) from error


_ERRORS = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    EOFError,
    MemoryError,
    pickle.UnpicklingError,
)


class _Unpickler(pickle.Unpickler):
    """`pickle.Unpickler` that knows the allowed names and no others."""

    def __init__(
        self,
        file: io.BytesIO,
        file_kind: str,
        names: Mapping[str, Callable[..., object] | None],
        persistent_load: Callable[[object], object] | None,
    ):
        # A string of Python 2 is bytes.
        super().__init__(file, encoding="bytes")
        self._file_kind = file_kind
        self._names = names
        self._persistent_load = persistent_load
        # Text that was turned to bytes, so that a file can't have the same text turned often.
        self._encoded: dict[str, bytes] = {}

    def find_class(self, module: str, name: str) -> object:
        given = f"{module}.{name}"
        # NumPy 2 calls numpy.core numpy._core; both are the same to us.
        known = given.replace("numpy._core.", "numpy.core.").replace("__builtin__.", "builtins.")
        if known in ("_codecs.encode", "builtins.bytes", "builtins.bytearray"):
            return StandIn(known, functools.partial(_to_bytes, self._encoded))
        if known not in self._names:
            raise PickleError(
                f"refused: the pickle calls {shown(given)}, which no {self._file_kind} needs; "
                "nothing of it was run"
            )
        found = self._names[known]
        return found if isinstance(found, type) else StandIn(known, found)

    def persistent_load(self, pid: object) -> object:
        if self._persistent_load is None:
            raise TypeError("an object outside of the pickle")
        return self._persistent_load(pid)


def _to_bytes(encoded: dict[str, bytes], *arguments: object) -> bytes:
    """bytes(), bytes(b"..") and text of Latin-1, as the protocols below 3 spell bytes."""
    if not arguments:
        return b""
    if isinstance(arguments[0], bytes):
        return arguments[0]
    text, encoding = arguments
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", b"latin1", b"latin-1"):
        raise TypeError("bytes of something that is not Latin-1 text")
    if text not in encoded:
        encoded[text] = text.encode("latin-1")
    return encoded[text]


# ---------------------------------------------------------------- the pass over the opcodes


def _check_opcodes(data: bytes | mmap.mmap, file_kind: str, allowed: frozenset[str]) -> int:
    """Returns where the pickle ends.

    Follows the stack as `pickle` does, as far as keys and arguments need it.

    Raises PickleError: it is cut short, or exceeds one of the bounds.
    """
    position = num_opcodes = 0
    num_objects_left = _MIN_OBJECT_LIMIT + len(data) // _BYTES_PER_OBJECT
    stack = _KindStack()
    try:
        for name, argument, position in _opcodes(data):
            if name not in allowed:
                raise PickleError(
                    f"refused: the pickle uses the opcode {name} at byte {position}, which no "
                    f"{file_kind} needs"
                )
            num_opcodes += 1
            num_objects_left -= name not in _FREE
            if num_opcodes > _MAX_OPCODES or num_objects_left < 0:
                raise PickleError(
                    f"refused: the pickle's {len(data):,} bytes make more objects than the images "
                    "or tensors of such a file need"
                )
            if name == "STOP":
                return position + 1
            stack.apply(name, argument)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise PickleError(
            f"cut short or damaged: not a whole pickle (after byte {position} of {len(data)}: "
            f"{shown(str(error))})"
        ) from error
    raise PickleError(f"cut short: the pickle has no end ({len(data)} bytes)")


def _opcodes(data: bytes | mmap.mmap) -> Iterator[tuple[str, Any, int]]:
    """Yields name, argument and position of each opcode, up to STOP.

    As `pickletools.genops`, which takes the text of Python 2's protocol 0 for ASCII.
    """
    file: Any = io.BytesIO(data) if isinstance(data, bytes) else data
    name = ""
    while name != "STOP":
        position = file.tell()
        code = file.read(1).decode("latin-1")
        if code not in _BY_CODE:
            raise ValueError(f"no opcode is called {code!r}" if code else "no end")
        opcode = _BY_CODE[code]
        name = opcode.name
        argument: Any = None
        if name == "STRING":
            argument = _read_quoted(file)
        elif opcode.arg:
            argument = opcode.arg.reader(file)
        yield name, argument, position


def _read_quoted(file: Any) -> bytes:
    """Reads a line with a string of Python 2 as it is written in a program."""
    line = file.readline()
    if len(line) < 3 or line[-1:] != b"\n" or line[:1] not in b"'\"" or line[-2:-1] != line[:1]:
        raise ValueError("a string without its quotes")
    return codecs.escape_decode(line[1:-2])[0]


_WIDE_INTEGER = -1
_OTHER = -2
_GETS = frozenset(["GET", "BINGET", "LONG_BINGET"])
_PUTS = frozenset(["PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"])
_TUPLES = frozenset(["TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"])
# Opcodes that push what is in the file, but for EMPTY_TUPLE.
_PUSHED = frozenset(
    opcode.name for opcode in pickletools.opcodes if opcode.stack_after and not opcode.stack_before
)
# How many objects the others take; None: all above the last mark.
_NUM_TAKEN = {
    opcode.name: None if pickletools.markobject in opcode.stack_before else len(opcode.stack_before)
    for opcode in pickletools.opcodes
    if opcode.stack_before
}


class _KindStack:
    """The stack of `pickle.Unpickler`, with kinds in the place of objects.

    A kind is the length of a tuple, `_WIDE_INTEGER` or `_OTHER`.
    """

    def __init__(self) -> None:
        self._kinds: list[int] = []
        self._marks: list[int] = []
        self._memo: dict[int, int] = {}
        self._num_opcodes = 0

    def apply(self, name: str, argument: Any) -> None:
        """Follows one opcode.

        Raises ValueError, IndexError or KeyError: it does not fit, or could cost too much.
        """
        self._num_opcodes += 1
        kinds, marks = self._kinds, self._marks
        if name in _GETS:
            kinds.append(self._memo[argument])
        elif name in _PUTS:
            index = len(self._memo) if name == "MEMOIZE" else argument
            if not 0 <= index <= self._num_opcodes:
                raise ValueError("a memo index beyond the number of opcodes")
            self._memo[index] = kinds[-1]
        elif name == "MARK":
            marks.append(len(kinds))
        elif name == "POP" and marks and marks[-1] == len(kinds):
            marks.pop()
        elif name in _PUSHED:
            kinds.append(_kind_of(argument))
        elif name in _NUM_TAKEN:
            self._replace(name, _NUM_TAKEN[name])

    def _replace(self, name: str, num_taken: int | None) -> None:
        """Replaces what an opcode takes, None for all above the last mark, by what it makes."""
        kinds, marks = self._kinds, self._marks
        first = marks.pop() if num_taken is None else len(kinds) - num_taken
        if first < (marks[-1] if marks else 0):
            raise IndexError("nothing left on the stack")
        taken = kinds[first:]
        del kinds[first:]
        _check(name, taken)
        if name in _TUPLES:
            kinds.append(len(taken))
        elif name in ("APPEND", "SETITEM", "BUILD"):
            kinds.append(taken[0])
        # These leave their list or dictionary, which is below the mark.
        elif name not in ("POP", "POP_MARK", "APPENDS", "SETITEMS"):
            kinds.append(_OTHER)


def _kind_of(argument: Any) -> int:
    is_wide = isinstance(argument, int) and abs(argument) >= 2**63
    return _WIDE_INTEGER if is_wide else _OTHER


def _check(name: str, taken: list[int]) -> None:
    """Raises ValueError: what an opcode takes could cost too much."""
    keys: list[int] = []
    if name == "SETITEM":
        keys = taken[1:2]
    elif name in ("SETITEMS", "DICT"):
        keys = taken[::2]
    if any(key != _OTHER for key in keys):
        raise ValueError("a tuple, or a number of more than 64 bits, as a key")
    if name in ("REDUCE", "NEWOBJ") and taken[1] > _MAX_ARGUMENTS:
        raise ValueError(f"a function of {taken[1]} arguments")
