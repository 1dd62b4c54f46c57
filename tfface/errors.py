"""How users are told that something they gave is wrong, or may be."""

import difflib
import logging
import sys
import unicodedata
from collections.abc import Iterable
from typing import IO

from tfface.commands import as_typed

# What a terminal obeys, what turns the direction of writing, what only looks like a new line, and
# what can't be encoded.
_OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")
# But for bytes of files' names that are no text: stderr shows them.
_BYTES = frozenset(map(chr, range(0xDC80, 0xDD00)))


class InputError(ValueError):
    """A file, option or recipe that the user gave can't be used.

    The message is all that a tool prints (no traceback, exit code 2), so it names what is wrong and
    what would be right. Several mistakes of one file are several lines, one each. Whatever file or
    library it quotes, no character is in it that a terminal obeys: `?` stands for each.

    Example:
        >>> raise InputError("faces.csv: no such file")
        Traceback (most recent call last):
        tfface.errors.InputError: faces.csv: no such file
    """

    def __init__(self, message: object = ""):
        super().__init__(harmless(as_typed(str(message))))


def harmless(text: str) -> str:
    """Returns text with ? for each character that a terminal obeys, but for the ends of lines."""
    if text.isprintable():
        return text
    return "".join(
        "?" if c != "\n" and unicodedata.category(c) in _OBEYED and c not in _BYTES else c
        for c in text.replace("\t", " ")
    )


def say(text: object, *, file: IO[str] | None = None) -> None:
    """Prints text that may quote a file, as `InputError` would, at once."""
    print(harmless(as_typed(str(text))), file=file, flush=True)


class _Console(logging.Handler):
    """Prints notes on stdout, and warnings on stderr in lines that begin with `warning:`.

    A stream is looked up for each line: programs and notebooks put others in its place.
    """

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            say(f"warning: {text}", file=sys.stderr)
        else:
            say(text)


# All that the library tells besides what it returns. A program may have set it up already.
LOGGER = logging.getLogger("tfface")
if not LOGGER.handlers:
    LOGGER.addHandler(_Console())
    # A program's own handlers would print each line again.
    LOGGER.propagate = False
if LOGGER.level == logging.NOTSET:
    LOGGER.setLevel(logging.INFO)


def note(text: object) -> None:
    """Tells the user what is being done, by the logger `tfface`: on stdout by default."""
    LOGGER.info("%s", text)


def warn(text: str) -> None:
    """Tells the user, in one line, what doesn't stop the work but may not be wanted.

    By the logger `tfface`: on stderr by default.
    """
    LOGGER.warning("%s", text)


def shown(text: str) -> str:
    """Returns text that a file holds, for a message: on one line, of at most 200 characters, and
    without what a terminal obeys."""
    return "".join(c if c.isprintable() else "?" for c in text[:200])


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns which known name is most like one that isn't known; None if none is.

    Example:
        >>> nearest("--buildx", ["--add", "--build"])
        '--build'
    """
    # The dashes of options make any two of them alike.
    bare = {one.lstrip("-"): one for one in known}
    near = difflib.get_close_matches(name.lstrip("-"), list(bare), 1, 0.5)
    return bare[near[0]] if near else None


def did_you_mean(name: str, known: Iterable[str], of: str = "") -> str:
    """Returns the end of a message about a name that isn't known; empty if none is like it.

    Args:
        name: as given.
        known: the names that exist.
        of: which one is meant, where the message is about several.

    Example:
        >>> did_you_mean("buildx", ["add", "build"])
        "; did you mean 'build'?"
        >>> did_you_mean("x", ["add", "build"])
        ''
    """
    near = nearest(name, known)
    return f"; did you mean '{shown(near)}'{of}?" if near else ""
