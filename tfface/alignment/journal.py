"""What an alignment has done so far: a file that a killed one leaves behind to go on from.

The first line says with which options the faces are aligned. Each further line is one photo that is
done, written after its faces: {"photo", "bytes", "changed", "rows"}, with rows as in `report`.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfface.alignment.report import Row
from tfface.errors import InputError
from tfface.files import parse_json, replacing

_NAME = ".alignment.jsonl"
_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """A photo that is done.

    Attributes:
        photo: its path within the source.
        stamp: its size in bytes and the time of its last change in ns.
        rows: of the report.
    """

    photo: str
    stamp: tuple[int, int]
    rows: list[Row]


@dataclass
class Journal:
    """The journal of an output folder.

    Attributes:
        options: as JSON can hold them.
        entries: photo -> what was done, in the order in which it was.
    """

    path: Path
    options: dict[str, Any]
    entries: dict[str, Entry] = field(default_factory=dict)

    def append(self, entry: Entry) -> None:
        """Notes that a photo is done.

        Raises InputError: the disk is full.
        """
        try:
            with self.path.open("a", encoding="ascii") as file:
                file.write(_line(entry))
        except OSError as error:
            raise InputError(f"{self.path}: can't be written: {error.strerror or error}") from error
        self.entries[entry.photo] = entry


def open_journal(output: Path, options: dict[str, Any]) -> Journal:
    """Reads the journal of `output`; nothing is written.

    A last line that was not written to its end is as good as none.

    Raises InputError: `output` holds faces aligned with other options, or something else
        altogether.
    """
    path = output / _NAME
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file; the output is a folder")
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        if output.exists() and any(output.iterdir()):
            raise InputError(
                f"{output}: is not empty, and was not written by this tool: choose another output "
                "folder"
            ) from None
        return Journal(path, options)
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    found = _parsed_options(lines[0] if lines else b"")
    if found is None:
        raise InputError(f"{path}: is damaged: remove {output}, or choose another output folder")
    if differences := _differences(found, options):
        raise InputError(
            f"{output}: holds faces that were aligned with other options ({differences}): "
            "choose another output folder"
        )
    entries = {}
    for line in lines[1:]:
        entry = _parsed_entry(line)
        if entry is None:
            break  # after damage nothing counts; it is done again
        entries[entry.photo] = entry
    return Journal(path, options, entries)


def start_writing(journal: Journal) -> None:
    """Makes the journal's file ready for `append`: with what was read of it, and nothing else.

    Raises InputError: it can't be written.
    """
    first = {"version": _VERSION, "options": journal.options}
    with replacing(journal.path) as temporary, temporary.open("w", encoding="ascii") as file:
        file.write(json.dumps(first) + "\n")
        file.writelines(map(_line, journal.entries.values()))


def stamp(path: Path) -> tuple[int, int]:
    """Returns what tells whether a file has changed: its bytes and time of change, -1s if gone."""
    try:
        found = os.stat(path)
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _line(entry: Entry) -> str:
    size, changed = entry.stamp
    content = {"photo": entry.photo, "bytes": size, "changed": changed, "rows": entry.rows}
    return json.dumps(content) + "\n"


def _parsed_options(line: bytes) -> dict[str, Any] | None:
    try:
        content = parse_json(line)
        return content["options"] if content["version"] == _VERSION else None
    except (ValueError, KeyError, TypeError):
        return None


def _parsed_entry(line: bytes) -> Entry | None:
    try:
        content = parse_json(line)
        return Entry(content["photo"], (content["bytes"], content["changed"]), content["rows"])
    except (ValueError, KeyError, TypeError):
        return None


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {found.get(name)}, not {wanted[name]}"
        for name in wanted
        if found.get(name) != wanted[name]
    )
