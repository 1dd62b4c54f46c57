"""How users are told that something they gave is wrong, or may be."""

import sys
import unicodedata
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


def warn(text: str) -> None:
    """Tells the user on stderr, in one line, what doesn't stop the work but may not be wanted."""
    say(f"warning: {text}", file=sys.stderr)


def shown(text: str) -> str:
    """Returns text that a file holds, for a message: on one line, of at most 200 characters, and
    without what a terminal obeys."""
    return "".join(c if c.isprintable() else "?" for c in text[:200])
