"""Output folders that are made item by item, so that a stopped command can be given again."""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tfface.errors import InputError
from tfface.files import is_temporary, parse_json, read_regular, replacing
from tfface.output_paths import check_own

_VERSION = 1
# Options that hold what a source's files are; nobody can read their values.
_SOURCES = ("source", "sources")
# Longer values are no help in a message.
_MOST_SHOWN = 40


class ResumableOutput:
    """An output folder with a hidden log of what is done.

    The log's first line holds the options that decide the output; each further line is an item that
    is done, written after the item's files. A line that was not written to its end does not count,
    nor does what follows a damaged one: it is done again.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     output = ResumableOutput(Path(folder), {"seed": 1})
        ...     output.start()
        ...     output.append("a", {"share": 0.5})
        ...     ResumableOutput(Path(folder), {"seed": 1}).done
        {'a': {'share': 0.5}}

    Args:
        output: new, empty, or made before with the same options. Nothing is written yet.
        options: all that decides the output, as JSON can hold it, by the names that users know.
        log: the name of the log.
        key: of an item's name in its line.
        is_entry: whether an entry is one; else its line counts as damaged.
    Attributes:
        done: name -> entry, in the order in which items were done. An item whose file `image` was
            removed since is not in it.
    Raises InputError: the folder holds something else, or what was made with other options.
    """

    def __init__(
        self,
        output: Path,
        options: dict[str, Any],
        *,
        log: str = ".made.jsonl",
        key: str = "name",
        is_entry: Callable[[dict[str, Any]], bool] = lambda entry: True,
    ):
        self._path = output / log
        self._options = json.loads(json.dumps(options))
        self._key = key
        self.done: dict[str, dict[str, Any]] = {}
        text = read_log(self._path)
        if text is None:
            return
        # A last line that was not written to its end is as good as none.
        entries = [_parsed(line) for line in text.split(b"\n")[:-1]]
        found = _options_in(entries[0]) if entries else None
        if found is None:
            raise InputError(
                f"{self._path}: is damaged: remove {output}, or choose another output folder"
            )
        check_options(output, found, self._options)
        for entry in entries[1:]:
            if entry is None:
                break
            name = entry.pop(key, None)
            if not isinstance(name, str) or not is_entry(entry):
                break
            image = entry.get("image", "")
            if isinstance(image, str) and (output / image).exists():
                self.done[name] = entry

    def check_reports(
        self, marks: Mapping[str, re.Pattern[bytes]], items: Iterable[str | os.PathLike]
    ) -> None:
        """Finds out whether reports about all items can be written into the folder.

        Args:
            marks: name of a report -> what is found in it, as `check_replaceable` takes it.
            items: paths of the items' files, in the folder.
        Raises InputError: a report can't be written, or would replace a file of the user's; or an
            item would lie where a report does.
        """
        taken = {Path(item).parts[0] for item in items}
        for name, mark in marks.items():
            if name in taken:
                raise InputError(
                    f"{self._path.parent}: images called {name}, or in a folder of that name, "
                    "can't be written there, because a report has this name: rename them"
                )
            check_own(self._path.parent / name, mark)

    def start(self) -> None:
        """Removes what a killed command was just writing, and makes the log ready for `append`.

        Raises InputError: it can't be written.
        """
        for folder, _, names in os.walk(self._path.parent):
            for path in (Path(folder, name) for name in names):
                if is_temporary(path):
                    path.unlink()
        with replacing(self._path) as temporary, temporary.open("w", encoding="ascii") as file:
            file.write(json.dumps({"version": _VERSION, "options": self._options}) + "\n")
            file.writelines(self._line(name, entry) for name, entry in self.done.items())

    def append(self, name: str, entry: dict[str, Any]) -> None:
        """Notes that an item is done and its files are written.

        Raises InputError: the disk is full.
        """
        try:
            with self._path.open("a", encoding="ascii") as file:
                file.write(self._line(name, entry))
        except OSError as error:
            reason = error.strerror or os.strerror(error.errno or 0)
            raise InputError(f"{self._path}: can't be written: {reason}") from error
        self.done[name] = entry

    def _line(self, name: str, entry: dict[str, Any]) -> str:
        return json.dumps({self._key: name, **entry}) + "\n"


def read_log(path: Path) -> bytes | None:
    """Returns the file that says how the folder around it was made; None of a new or empty folder.

    Raises InputError: there is something else in the folder, or it can't be read.
    """
    output = path.parent
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file; the output is a folder")
    try:
        return read_regular(path)
    except FileNotFoundError:
        if output.exists() and any(output.iterdir()):
            raise InputError(
                f"{output}: is not empty, and was not written by this tool: choose another output "
                "folder"
            ) from None
        return None
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error


def check_options(output: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raises InputError: the output was made with other options than are wanted."""
    differences = ", ".join(
        name
        if len(str(value)) > _MOST_SHOWN
        else f"{name} {_option_text(found.get(name))}, not {_option_text(value)}"
        for name, value in wanted.items()
        if found.get(name) != value and name not in _SOURCES
    )
    if not differences and any(found.get(name) != wanted.get(name) for name in _SOURCES):
        raise InputError(
            f"{output}: was begun with another source, or images of it have changed since, were "
            "added or removed: restore them, or choose another output folder"
        )
    if differences:
        raise InputError(
            f"{output}: was made with other options ({differences}): choose another output folder"
        )


def _option_text(value: Any) -> str:
    """Returns the value of an option as users write it."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        content = parse_json(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _options_in(first: dict[str, Any] | None) -> dict[str, Any] | None:
    if first and "version" not in first:
        # make_cutmix and make_remove_background of tfface 0.1 wrote the options alone.
        return first
    options = first.get("options") if first and first["version"] == _VERSION else None
    return options if isinstance(options, dict) else None
