"""Files with one ending that are a source together: which a path means, and a fingerprint."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from tfface.errors import InputError
from tfface.files import os_errors


def shards_in(folder: Path, ending: str) -> list[Path]:
    """Returns the files of a folder with an ending, sorted; hidden files are none.

    Args:
        folder: their folder; those in sub-folders are none.
        ending: in lower case, with its dot.

    Raises:
        InputError: the folder can't be listed.
    """
    with os_errors(folder, "listed"):
        return sorted(
            file
            for file in folder.iterdir()
            if file.suffix.lower() == ending and not file.name.startswith(".") and not file.is_dir()
        )


def shards_of(path: Path, ending: str) -> list[Path]:
    """Returns a file by itself, or as `shards_in` those of a folder, at least one.

    Raises:
        InputError: nothing is there, or the folder holds no such file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("b.tar", "a.tar", ".c.tar", "d.txt"):
        ...         _ = Path(folder, name).write_bytes(b"")
        ...     [file.name for file in shards_of(Path(folder), ".tar")]
        ['a.tar', 'b.tar']
    """
    if not path.is_dir():
        if not path.is_file():
            raise InputError(f"{path}: no such file or folder")
        return [path]
    found = shards_in(path, ending)
    if not found:
        raise InputError(f"{path}: holds no {ending} file")
    return found


def is_of_shards(path: Path, ending: str) -> bool:
    """Whether a path is that of a file with an ending, or of a folder whose images are in such.

    Such a file may also lie beside the folders of people: what they were unpacked from, or a table
    about them.
    """
    if not path.is_dir():
        return path.suffix.lower() == ending
    return bool(shards_in(path, ending)) and not any(
        entry.is_dir() and not entry.name.startswith(".") for entry in path.iterdir()
    )


def fingerprint_of(files: Sequence[Path], options: tuple) -> str:
    """Returns a hash of files' names, sizes and modification times, and of options.

    Args:
        files: in order.
        options: of the source, with which the same files are other images.

    Raises:
        InputError: a file is gone.
    """
    content = []
    for file in files:
        with os_errors(file):
            stat = file.stat()
        content.append((file.name, stat.st_size, stat.st_mtime_ns))
    return hashlib.sha256(repr((content, options)).encode()).hexdigest()
