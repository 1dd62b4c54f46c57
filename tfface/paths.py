"""Paths that users give: whether something can be there, what is meant, and how it is printed."""

import difflib
import itertools
import os
from pathlib import Path
from typing import Literal

from tfface.errors import InputError, shown

# Of a folder with more files, not all are compared with a name that is missing.
_MOST_NAMES = 10_000
# Below it are names that share an ending and a letter: nope.jpg and page.png.
_LEAST_SIMILARITY = 0.66


EMPTY_PATH = "an empty path: name a file or folder ('.' is the one that paths start at)"


def printable(name: str) -> str:
    """Returns a file's name as text: bytes of it that are no text as \\udcNN.

    JSON files, pages and terminals have no place for such bytes.
    """
    return name.encode(errors="backslashreplace").decode()


def expanded(path: str | os.PathLike[str]) -> Path:
    """Returns a path with the home folder in place of a leading ~.

    Shells do that, but neither in a recipe nor in `--option=~/x`.

    Raises InputError: it is empty, as a variable of a shell is that isn't set; or it is no text.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"a path must be text or a pathlib.Path, got {type(path).__name__}")
    if not os.fspath(path):
        raise InputError(EMPTY_PATH)
    return Path(os.path.expanduser(path))


def check_possible(path: Path) -> None:
    """Checks that a path can be looked up, whether or not something is there.

    Raises InputError: it is too long, a loop of links, or holds what no file's name can hold.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise InputError(f"{shown(os.fspath(path))}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{shown(os.fspath(path))}: no file can have this name") from error


def check_there(path: str | os.PathLike[str], what: str = "file or folder") -> None:
    """Raises InputError: a path is that of nothing; the message names what is like it.

    Args:
        path: as the user gave it.
        what: should be there.

    Example:
        >>> check_there("gone.jpg", "photo")
        Traceback (most recent call last):
        tfface.errors.InputError: gone.jpg: no such photo
    """
    check_possible(Path(path))
    if not os.path.exists(path):
        if os.path.islink(path):
            raise InputError(f"{os.fspath(path)}: a link to a {what} that isn't there")
        raise InputError(f"{os.fspath(path)}: no such {what}{did_you_mean_path(path)}")


def not_there(path: str | os.PathLike[str], what: Literal["file", "folder"]) -> str:
    """Returns the message for a path at which there is no file, or no folder.

    Example:
        >>> not_there("gone", "folder")
        'gone: no such folder'
        >>> not_there(".", "file")
        '.: is a folder, and must be a file'
    """
    if not os.path.exists(path):
        return f"{os.fspath(path)}: no such {what}"
    found = "a folder" if os.path.isdir(path) else "a file"
    return f"{os.fspath(path)}: is {found}, and must be a {what}"


def did_you_mean_path(path: str | os.PathLike[str]) -> str:
    """As `did_you_mean`, of a file or folder that isn't there: from the names in its folder."""
    missing = Path(path)
    try:
        with os.scandir(missing.parent) as entries:
            names = [entry.name for entry in itertools.islice(entries, _MOST_NAMES)]
    except (OSError, ValueError):
        # A folder above may be the one that isn't there.
        return ""
    near = difflib.get_close_matches(missing.name, names, 1, _LEAST_SIMILARITY)
    return f"; did you mean '{shown(str(missing.with_name(near[0])))}'?" if near else ""


def data_dir(given: str | os.PathLike[str] | None = None) -> Path:
    """Returns where the relative paths of recipes start.

    Args:
        given: by the caller; None for $TFFACE_DATA or, where that is not set, the folder `data`.
    """
    return expanded(given if given is not None else os.environ.get("TFFACE_DATA") or "data")
