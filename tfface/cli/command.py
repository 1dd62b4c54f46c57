"""What all commands share: options, a quiet TensorFlow, and how they end."""

import argparse
import errno
import importlib.util
import math
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from tfface.commands import as_typed
from tfface.errors import InputError, did_you_mean, harmless, shown, warn
from tfface.extras import not_installed
from tfface.quiet_tensorflow import import_tensorflow


def open_closed_streams() -> None:
    """Opens standard streams that are closed, onto the null device.

    Else the next files that are opened would be what libraries write their notes to.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free is taken.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115


def path(text: str) -> Path:
    """An option's path."""
    from tfface.paths import expanded

    return expanded(text)


def path_text(text: str) -> str:
    """What an option says that takes a path or a word."""
    return str(path(text)) if text.startswith("~") else text


# Where the relative paths of recipes start, unless --data-dir says otherwise.
DATA_DIR = path(os.environ.get("TFFACE_DATA") or "data")


# A disk, a quota or the size that a file may have.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_BACKENDS = ("tensorflow", "jax", "torch")

_install_hint: str | None = None

# Old options -> new ones, of which a tool has one: old ones work in this release, with a warning.
RENAMED_OPTIONS = {
    "--against": ("--overlap-with",),
    "--against-threshold": ("--overlap-threshold",),
    "--align": ("--find-faces",),
    "--beside": ("--compare-with",),
    "--coordinator": ("--coordinator-address",),
    "--effort": ("--search-width",),
    "--format": ("--input-format", "--output-format"),
    "--identities": ("--include", "--num-identities"),
    "--images": ("--image-root", "--num-images"),
    "--input": ("--color-order",),
    "--metric": ("--distance",),
    "--no-check": ("--aligned",),
    "--no-scores": ("--no-quality-weights",),
    "--one-template": ("--mean-template",),
    "--output": ("--model-output",),
    "--pairs": ("--num-pairs",),
    "--queries": ("--num-queries",),
    "--range": ("--input-range",),
    "--scores": ("--score-type",),
    "--size": ("--image-size",),
    "--split": ("--gallery-shots",),
    "--unknown": ("--open-set-fraction",),
    "--vary": ("--sweep",),
}


# How argparse tells that a value has not the type of Python that an option wants -> the same in
# words of users.
_INVALID_VALUE = re.compile(r"invalid (int|float) value: ")
_NUMBERS = {"int": "must be a whole number, got ", "float": "must be a number, got "}
# What looks like an option, and not like a negative number or a range.
_OPTION = re.compile(r"--?[A-Za-z][\w-]*")


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that knows old options by `RENAMED_OPTIONS`, and keeps the lines of help.

    A mistake is one line that says what may have been meant, and one that says where help is. Its
    subcommands do so, too.
    """

    def __init__(self, *arguments, formatter_class=argparse.RawDescriptionHelpFormatter, **options):
        super().__init__(*arguments, formatter_class=formatter_class, **options)
        self._given: list[str] = []

    def parse_known_args(self, args=None, namespace=None):
        given = sys.argv[1:] if args is None else args
        self._given = [*map(self._renamed, given)]
        return super().parse_known_args(self._given, namespace)

    def format_help(self) -> str:
        return as_typed(super().format_help())

    def error(self, message: str) -> NoReturn:
        text = _INVALID_VALUE.sub(lambda match: _NUMBERS[match[1]], message)
        text = self._too_many(text)
        line = " ".join(f"error: {text}{self._missing(message)}{self._meant()}".split("\n"))
        self.exit(2, f"{harmless(as_typed(line))}\nsee: {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """As argparse does, and tells which of the choices may have been meant."""
        if action.choices is None or value in action.choices:
            return
        *others, last = map(str, action.choices)
        expected = f"{', '.join(others)} or {last}" if others else last
        near = did_you_mean(str(value), [*others, last])
        raise argparse.ArgumentError(action, f"must be {expected}, got '{value}'{near}")

    def _too_many(self, message: str) -> str:
        """Returns a message on arguments that are no options and too many in a few words."""
        start, _, given = message.partition(": ")
        if start != "unrecognized arguments" or given.startswith("-"):
            return message
        expected = [
            str(action.metavar or action.dest)
            for action in self._actions
            if not action.option_strings and not isinstance(action, argparse._SubParsersAction)
        ]
        where = f" after {', '.join(expected)}" if expected else ""
        return f"too many arguments: '{shown(given.split(' ')[0])}'{where}"

    def _missing(self, message: str) -> str:
        """Returns which commands there are, or the order of arguments, where one is missing."""
        start, _, missing = message.partition(": ")
        if start != "the following arguments are required":
            return ""
        names = []
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                return f", one of {', '.join(action.choices)}"
            if not action.option_strings:
                names.append(str(action.metavar or action.dest))
        is_one_missing = not set(names).isdisjoint(missing.split(", "))
        return (
            f"; the order is {', '.join(names)}" if is_one_missing and len(set(names)) > 1 else ""
        )

    def _meant(self) -> str:
        """Returns which options may have been meant by those that were given and don't exist."""
        known = set(self._option_string_actions)
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                known.update(*(one._option_string_actions for one in action.choices.values()))
        unknown = (word.partition("=")[0] for word in self._given)
        near = [
            did_you_mean(word, sorted(known), f" for {word}")
            for word in dict.fromkeys(unknown)
            # An option may be abbreviated.
            if _OPTION.fullmatch(word) and not any(option.startswith(word) for option in known)
        ]
        return "".join(near)

    def _renamed(self, argument: str) -> str:
        old, equals, value = argument.partition("=")
        new = self._new_name(old)
        if new is None:
            return argument
        warn(f"{old} is now {new}; the old name works in this release")
        return f"{new}{equals}{value}"

    def _new_name(self, old: str) -> str | None:
        known = self._option_string_actions
        if old in known:
            return None
        return next((new for new in RENAMED_OPTIONS.get(old, ()) if new in known), None)


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow without its start-up notes; anything else it says is passed on.

    Raises InputError: $KERAS_BACKEND names a backend that isn't known or not installed.
    """
    import_tensorflow(_backend(), for_command=True)


def _backend() -> str:
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend not in _BACKENDS:
        raise InputError(f"KERAS_BACKEND={backend}: must be one of {', '.join(_BACKENDS)}")
    if importlib.util.find_spec(backend) is None:
        if backend == "tensorflow":
            raise InputError(_not_installed(backend))
        raise InputError(f"KERAS_BACKEND={backend}: {backend} is not installed here")
    return backend


def _not_installed(package: str) -> str:
    return not_installed(package, _install_hint)


@contextmanager
def folder_or_temporary(folder: Path | None) -> Iterator[Path]:
    """Yields the folder, or a temporary one that is removed after the block."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="tfface-") as temporary:
        yield Path(temporary)


def label(text: str) -> str:
    """An option's name of a model or comparison in tables."""
    from tfface.names import clean_name

    try:
        return clean_name(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def positive(text: str) -> int:
    """An option's whole number above 0."""
    return _whole_number(text, 1)


def natural(text: str) -> int:
    """An option's whole number of 0 or more."""
    return _whole_number(text, 0)


def batch_size(text: str) -> int:
    """An option's number of images at a time."""
    return _whole_number(text, 1, 8192)


def folds(text: str) -> int:
    """An option's number of folds."""
    return _whole_number(text, 2, 1000)


def search_width(text: str) -> int:
    """An option's effort of an approximate search, which FAISS keeps in 32 bits."""
    return _whole_number(text, 1, 1_000_000)


def workers(text: str) -> int:
    """An option's number of threads or processes."""
    return _whole_number(text, 1, 1024)


def cells(text: str) -> int:
    """An option's number of pictures in a row or column of a contact sheet."""
    return _whole_number(text, 1, 100)


def shards(text: str) -> int:
    """An option's number of record files, which are numbered by five digits."""
    return _whole_number(text, 1, 99_999)


def port(text: str) -> int:
    """An option's port of TCP; 0 for any that is free."""
    return _whole_number(text, 0, 65_535)


def quality(text: str) -> int:
    """An option's quality of JPEG."""
    return _whole_number(text, 1, 100)


def image_size(text: str) -> tuple[int, int]:
    """An option's size in pixels, (height, width): 112 means 112x112."""
    numbers = text.lower().split("x")
    if len(numbers) > 2 or not all(n.isdecimal() and 1 <= int(n) <= 8192 for n in numbers):
        raise argparse.ArgumentTypeError(
            f"must be a number of pixels from 1 to 8192, or HEIGHTxWIDTH as in 112x96; got '{text}'"
        )
    return int(numbers[0]), int(numbers[-1])


def number(text: str, is_right: Callable[[float], bool], expected: str) -> float:
    """An option's number of a range.

    Args:
        is_right: whether a number is in the range; False for NaN.
        expected: the range, for the message.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not is_right(value):
        raise argparse.ArgumentTypeError(f"must be {expected}, got '{text}'")
    return value


def _whole_number(text: str, lowest: int, highest: int | None = None) -> int:
    if not text.isdecimal() or int(text) < lowest or (highest and int(text) > highest):
        limits = f"from {lowest} to {highest}" if highest else f"of {lowest} or more"
        raise argparse.ArgumentTypeError(f"must be a whole number {limits}, got '{text}'")
    return int(text)


@contextmanager
def interruptible(how_to_go_on: str) -> Iterator[None]:
    """Says how to go on when the user interrupts the block."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; {how_to_go_on}") from None


def this_command() -> list[str]:
    """The words that start this command again in a process of its own, without its arguments."""
    if sys.argv[0].startswith("tfface "):
        return [sys.executable, "-m", *sys.argv[0].split()]
    return [sys.executable, sys.argv[0]]


def typed_command() -> list[str]:
    """The words that the user types for this command, without its arguments."""
    return sys.argv[0].split() if sys.argv[0].startswith("tfface ") else ["python", sys.argv[0]]


def _give_up_stdout() -> None:
    """Sends the rest of stdout to the null device; otherwise writing would fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Ended(BaseException):
    """A signal asked the command to end; its text is the signal's name."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


def _end(number: int, frame: object) -> NoReturn:
    raise Ended(number)


def _end_by_exception() -> None:
    """Lets the signals that end a process raise an exception, so that no half-written file stays.

    Trainings handle them by themselves. Ctrl-C is KeyboardInterrupt already.
    """
    from tfface.signals import ENDING, is_ignored

    for number in ENDING:
        if number != signal.SIGINT and not is_ignored(number):
            signal.signal(number, _end)


def run(main: Callable[[], None], *, install_hint: str | None = None) -> None:
    """Calls a command's `main` and exits: 0 when it returns, 2 with one line when input is bad.

    Args:
        install_hint: what to do where a package is missing; None for `pip install`.
    """
    global _install_hint
    _install_hint = install_hint
    open_closed_streams()
    from tfface.parent_process import end_with_parent

    end_with_parent()
    _end_by_exception()
    try:
        try:
            main()
        finally:
            # What can't be written shall be found out here, not at the interpreter's end.
            sys.stdout.flush()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        # A module of our own that is missing is a mistake in the program.
        if not package or package in ("tfface", "checkout"):
            raise
        print(f"error: {_not_installed(package)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as interruption:
        # A tool may say how to go on.
        print(str(interruption) or "interrupted", file=sys.stderr)
        sys.exit(130)
    except Ended as ended:
        # The terminal may be gone.
        with suppress(OSError):
            print(f"ended by {ended}", file=sys.stderr)
        sys.exit(128 + ended.number)
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; nothing is left to tell it.
        _give_up_stdout()
        sys.exit(141)
    except OSError as error:
        if error.errno in _FULL:
            _give_up_stdout()
            where = shown(os.fsdecode(error.filename)) if error.filename else "output"
            print(f"error: {where}: can't be written: {error.strerror}", file=sys.stderr)
            sys.exit(2)
        # A path that can't be looked up at all; whatever else is wrong with files is said by who
        # reads or writes them.
        if error.errno != errno.ENAMETOOLONG:
            raise
        print(f"error: {shown(str(error.filename))}...: {error.strerror}", file=sys.stderr)
        sys.exit(2)
