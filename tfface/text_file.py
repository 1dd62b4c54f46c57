"""Lists and tables that users write: text in UTF-8, or a line that says what they are."""

import io
import itertools
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import IO

from tfface.errors import InputError
from tfface.file_kind import START_BYTES, other_kind

__all__ = [
    "START_BYTES",
    "check_columns",
    "check_text",
    "csv_lines",
    "delimiter_of",
    "open_text",
]

_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")


def open_text(path: Path) -> IO[str]:
    """Opens a text file in UTF-8; a byte order mark is passed over.

    Names that are no text stay as the file system spells them. Ends of lines are kept.

    Raises:
        OSError: it can't be read.
        InputError: it is no text, or in UTF-16.
    """
    file = path.open("rb")
    try:
        # Looked at, but not read: it may be a pipe.
        check_text(path, file.peek(START_BYTES)[:START_BYTES])
        return io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    except BaseException:
        file.close()
        raise


def check_text(path: Path, start: bytes) -> None:
    """Raises InputError: a file is no text, or in UTF-16, as spreadsheets save "Unicode".

    Args:
        start: its first `START_BYTES` bytes.
    """
    # Without a mark: of Latin letters every other byte is zero.
    is_unmarked = any(start) and len(start) > 3 and not (any(start[1::2]) and any(start[::2]))
    if start.startswith(_BYTE_ORDER_MARKS) or is_unmarked:
        raise InputError(
            f"{path}: is text in UTF-16, and UTF-8 is read here: save it as UTF-8 (in Excel as "
            '"CSV UTF-8"), or convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW'
        )
    if re.match(rb"(\xef\xbb\xbf)?sep=.\r?\n", start, re.IGNORECASE):
        raise InputError(f"{path}: its first line, sep=, is for Excel alone: remove this line")
    if kind := other_kind(start):
        raise InputError(f"{path}: not a text file, but {kind}")


def delimiter_of(header: str, usual: str = ",") -> str:
    """Returns what separates the columns of a table: spreadsheets write semicolons or tabs, too.

    Args:
        header: the first line. Where it has the usual delimiter, this is the one.
        usual: the delimiter by the name of the file.
    """
    bare = re.sub('"[^"]*"', "", header)
    others = [other for other in ",;\t" if other in bare]
    return others[0] if len(others) == 1 else usual


def csv_lines(file: IO[str]) -> tuple[str, Iterable[str]]:
    """Returns the delimiter of a CSV file and its lines, for `csv.reader`."""
    first = file.readline()
    return delimiter_of(first), itertools.chain([first], file)


def check_columns(path: Path, columns: Sequence[str], read: Collection[str] = ()) -> None:
    """Raises InputError: two columns of a table have one name, so that one would be lost.

    Args:
        read: the columns that matter; without, all do.
    """
    for place, column in enumerate(columns):
        if columns.index(column) != place and (not read or column in read):
            raise InputError(f"{path}: two columns are called '{column}'")
