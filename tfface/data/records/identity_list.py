"""Lists of identities in files: whom to convert, whom to leave out.

A list is one of

    a text file     on each line a name, and maybe after a tab what you like, or after a space a
                    whole number; LFW's people lists are such files (a first line that is only a
                    number is their count)
    a CSV file      with a header that has `name` and maybe `source`; other columns are not read

In a CSV file a row with a source means the identity of that source alone; a name without one means
every identity of that name, whatever its source.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfface.data.records.manifest import Identity
from tfface.errors import InputError
from tfface.files import os_errors, write_csv
from tfface.names import cell_text, safe_row, same_name
from tfface.text_file import check_columns, csv_lines, open_text

_MOST_NAMED = 5


def read_identity_list(path: Path, identities: Sequence[Identity]) -> np.ndarray:
    """Reads which of `identities` a file lists.

    Args:
        path: a text or CSV file, see above. A CSV file may list nobody.
        identities: those that may be listed.
    Returns: bool [len(identities)].
    Raises InputError: the file can't be read, has no column `name` though its name ends in .csv,
        is a text file without names, or lists somebody who is not in `identities`.
    """
    with os_errors(path), open_text(path) as file:
        text = file.read()
    labels: dict[str | Identity, list[int]] = {}
    for label, identity in enumerate(identities):
        plain = Identity(*map(_plain, identity))
        labels.setdefault(plain.name, []).append(label)
        labels.setdefault(plain, []).append(label)
    first = next(iter(text.splitlines()), "").strip()
    header = first.split(",")
    if path.suffix.lower() == ".csv" or ("name" in header and len(header) > 1):
        keys, unknown = _read_csv(path, text, labels)
    else:
        keys, unknown = _read_lines(path, text, labels)
    if unknown:
        more = len(unknown) - _MOST_NAMED
        raise InputError(
            f"{path}: lists identities that the sources don't have: "
            f"{', '.join(unknown[:_MOST_NAMED])}" + (f" and {more} more" if more > 0 else "")
        )
    listed = np.zeros(len(identities), bool)
    for key in keys:
        listed[labels[key]] = True
    return listed


def write_exclusion_list(path: Path, reasons: Mapping[Identity, str]) -> None:
    """Writes identities as a CSV file with the columns name, source and reason.

    Args:
        path: the file to write.
        reasons: why each identity is left out.

    Raises InputError: the file can't be written.
    """
    rows = (safe_row([*identity, reason]) for identity, reason in reasons.items())
    write_csv(path, ["name", "source", "reason"], rows)


def _read_csv(path: Path, text: str, known: Mapping) -> tuple[list[str | Identity], list[str]]:
    """Returns what is listed as keys of `known`, and what is not among them."""
    delimiter, lines = csv_lines(io.StringIO(text, newline=""))
    reader = csv.DictReader(lines, delimiter=delimiter)
    try:
        columns, rows = reader.fieldnames or [], list(reader)
    except csv.Error as error:
        raise InputError(f"{path}: can't be read as CSV: {error}") from error
    if "name" not in columns:
        raise InputError(
            f"{path}: a CSV list needs a column 'name', and has: {', '.join(columns) or 'none'}"
        )
    check_columns(path, columns, ["name", "source"])
    keys, unknown = [], []
    for row in rows:
        name, source = (_plain(row.get(column) or "") for column in ("name", "source"))
        key = Identity(name, source) if source else name
        if key in known:
            keys.append(key)
        else:
            unknown.append(f"{name} of {source}" if source else name)
    return keys, unknown


def _read_lines(path: Path, text: str, known: Mapping) -> tuple[list[str], list[str]]:
    """Returns what is listed as keys of `known`, and what is not among them."""
    lines = text.splitlines()
    if lines and lines[0].strip().isdecimal() and lines[0].strip() not in known:
        lines = lines[1:]
    keys, unknown = [], []
    for line in filter(str.strip, lines):
        # Names may hold spaces, so the longer reading is tried first.
        readings = list(map(_plain, (line, line.split("\t")[0])))
        before, _, last = line.strip().rpartition(" ")
        if last.isdecimal():
            readings.append(_plain(before))
        name = next((reading for reading in readings if reading in known), None)
        if name is None:
            unknown.append(readings[1])
        else:
            keys.append(name)
    if not keys and not unknown:
        raise InputError(f"{path}: lists no identities")
    return keys, unknown


def _plain(name: str) -> str:
    """What names are compared by: one spelling, as it was before it was written into a CSV."""
    return same_name(cell_text(name.strip()))
