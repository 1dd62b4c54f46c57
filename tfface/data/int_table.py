"""Reading files of many million lines of whole numbers, fast and in parts."""

from pathlib import Path

import numpy as np

from tfface.errors import InputError
from tfface.files import os_errors
from tfface.text_file import START_BYTES, check_text

_BLOCK_BYTES = 1 << 19
# What has ten digits and more may not fit into 32 bits.
_MOST_DIGITS = 9
_ZERO, _SPACE, _NEWLINE = (np.uint8(ord(character)) for character in "0 \n")
# Tabs become spaces and returns go.
_TABS = bytes.maketrans(b"\t", b" ")


def read_number_lines(path: Path, num_columns: int, expected: str) -> list[np.ndarray]:
    """Reads lines of whole numbers of 0 or more, which spaces or tabs part.

    Lines that are empty are passed over. A million lines of three numbers take some 50 ms, where
    each single space is followed by a number and each line ends with one.

    Args:
        num_columns: numbers in each line.
        expected: what a line should hold, for an error.
    Returns: int32 [lines], for each column.
    Raises InputError: the file can't be read, or a line holds anything else (the message gives its
        number).
    """
    blocks, num_lines = [], 0
    with os_errors(path), path.open("rb") as file:
        check_text(path, file.peek(START_BYTES)[:START_BYTES])
        while data := file.read(_BLOCK_BYTES):
            data += file.readline()
            if not data.endswith(b"\n"):
                data += b"\n"
            blocks.append(_parse(path, data, num_columns, expected, num_lines))
            num_lines += data.count(b"\n")
    if not blocks:
        return [np.empty(0, np.int32) for _ in range(num_columns)]
    return [np.concatenate(column) for column in zip(*blocks, strict=True)]


def line_number(path: Path, position: int) -> int:
    """Returns the number, from 1, of the line at a position among those that aren't empty."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                position -= 1
            if position < 0:
                return number
    raise ValueError(f"{path} has fewer lines")


def _parse(
    path: Path, data: bytes, num_columns: int, expected: str, lines_before: int
) -> list[np.ndarray]:
    """Parses whole lines."""
    for tidy in (data, data.translate(_TABS, b"\r")):
        columns = _parse_tidy(np.frombuffer(tidy, np.uint8), num_columns)
        if columns is not None:
            return columns
    rows = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=lines_before + 1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != num_columns or not all(
            field.isdigit() and len(field) <= _MOST_DIGITS for field in fields
        ):
            given = line.decode(errors="replace").strip()[:80]
            raise InputError(f"{path}, line {number}: expected {expected}; got '{given}'")
        rows.append([int(field) for field in fields])
    return list(np.array(rows, np.int32).reshape(-1, num_columns).T)


def _parse_tidy(data: np.ndarray, num_columns: int) -> list[np.ndarray] | None:
    """Parses lines with one space between numbers; None where there is anything else.

    Args:
        data: uint8, not empty.
    """
    ends = np.flatnonzero(data < _ZERO)
    if len(ends) % num_columns:
        return None
    parting = data[ends].reshape(-1, num_columns)
    lengths = np.diff(ends, prepend=-1) - 1
    digits = data - _ZERO
    if not (
        (parting[:, :-1] == _SPACE).all()
        and (parting[:, -1] == _NEWLINE).all()
        and lengths.min() > 0
        and lengths.max() <= _MOST_DIGITS
        and np.count_nonzero(digits < 10) + len(ends) == len(data)
    ):
        return None
    columns = []
    for column in range(num_columns):
        length = lengths[column::num_columns]
        shortest, longest = int(length.min()), int(length.max())
        # From the last digit to the first, of all numbers at once.
        place = ends[column::num_columns] - 1
        numbers = digits.take(place).astype(np.int32)
        for power in range(1, longest):
            place -= 1
            digit = digits.take(place, mode="clip")
            if power >= shortest:
                digit *= length > power
            numbers += digit * np.int32(10**power)
        columns.append(numbers)
    return columns
