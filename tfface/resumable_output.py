"""A folder that is made image by image, so that a killed command can be given again.

Its hidden file says first how the images are made, and then, a line for each, which are there.
"""

import json
import os
from pathlib import Path
from typing import Any

from tfface.errors import InputError
from tfface.files import parse_json, replacing

_NAME = ".made.jsonl"


class MadeFolder:
    """What an output folder holds already.

    Args:
        output: new, empty, or made before in the same way.
        how: all that decides the images, as JSON can hold it; names are those that users know.
    Attributes:
        done: name -> what was noted of it, in the order in which it was.
    Raises InputError: the folder holds something else, or images that were made in another way.
    """

    def __init__(self, output: Path, how: dict[str, Any]):
        self._path = output / _NAME
        self._how = json.loads(json.dumps(how))
        self.done: dict[str, dict[str, Any]] = {}
        if output.exists() and not output.is_dir():
            raise InputError(f"{output}: is a file; the output is a folder")
        try:
            # A last line that was not written to its end is as good as none.
            lines = self._path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            if output.exists() and any(output.iterdir()):
                raise InputError(
                    f"{output}: is not empty, and was not written by this tool: choose another "
                    "output folder"
                ) from None
            return
        except OSError as error:
            raise InputError(f"{self._path}: can't be read: {error.strerror or error}") from error
        entries = list(map(_parsed, lines))
        if not entries or entries[0] is None:
            raise InputError(
                f"{self._path}: is damaged: remove {output}, or choose another output folder"
            )
        if differences := _differences(entries[0], self._how):
            raise InputError(
                f"{output}: was made in another way ({differences}): choose another output folder"
            )
        for entry in entries[1:]:
            if entry is None or "name" not in entry:
                break  # after damage nothing counts; it is done again
            name = entry.pop("name")
            # What was removed since is made again.
            if (output / entry.get("image", "")).exists():
                self.done[name] = entry

    def start(self) -> None:
        """Makes the folder ready for `note`.

        Raises InputError: it can't be written.
        """
        for leftover in self._path.parent.rglob(".*.partial*"):
            leftover.unlink()
        with replacing(self._path) as temporary, temporary.open("w", encoding="ascii") as file:
            file.write(json.dumps(self._how) + "\n")
            for name, entry in self.done.items():
                file.write(json.dumps({"name": name, **entry}) + "\n")

    def note(self, name: str, entry: dict[str, Any]) -> None:
        """Notes that something is done and written.

        Raises InputError: the disk is full.
        """
        try:
            with self._path.open("a", encoding="ascii") as file:
                file.write(json.dumps({"name": name, **entry}) + "\n")
        except OSError as error:
            reason = error.strerror or os.strerror(error.errno or 0)
            raise InputError(f"{self._path}: can't be written: {reason}") from error
        self.done[name] = entry


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        content = parse_json(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {found.get(name)}, not {wanted[name]}" if _is_short(wanted[name]) else name
        for name in wanted
        if found.get(name) != wanted[name]
    )


def _is_short(value: Any) -> bool:
    return len(str(value)) <= 40
