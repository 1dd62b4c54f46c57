"""Paths of outputs, checked before long work: what may be replaced, and what never is."""

import itertools
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tfface.errors import InputError
from tfface.files import check_writable, os_errors


def check_distinct(
    files: Mapping[str, str | os.PathLike | None],
    folders: Mapping[str, str | os.PathLike | None] | None = None,
) -> None:
    """Checks before long work that no output of a command is written over another.

    Args:
        files: path of each output file by the option that names it; None where it isn't given.
        folders: likewise of output folders, in which the files may lie.
    Raises InputError: two outputs are one path, or one would lie in another that is a file.
    """
    given = [(option, path, True) for option, path in files.items() if path is not None]
    given += [(option, path, False) for option, path in (folders or {}).items() if path is not None]
    for (one, a, a_is_file), (other, b, b_is_file) in itertools.combinations(given, 2):
        real_a, real_b = Path(os.path.realpath(a)), Path(os.path.realpath(b))
        if real_a == real_b and (a_is_file or b_is_file):
            raise InputError(f"{one} and {other} are both {a}: give each a path of its own")
        if (a_is_file and real_b.is_relative_to(real_a)) or (
            b_is_file and real_a.is_relative_to(real_b)
        ):
            raise InputError(f"{one} {a} and {other} {b}: one lies in the other, which is a file")


def check_output(
    sources: Iterable[Path],
    output: Path,
    mistaken: str = "files would be taken for those of a person",
) -> None:
    """Checks that an output is not written into a folder of source images.

    Args:
        sources: files and folders that are read.
        output: file or folder.
        mistaken: what would happen to the output there.
    Raises InputError: `output` lies in one of these folders.
    """
    for source in sources:
        if source.is_dir() and output.resolve().is_relative_to(source.resolve()):
            raise InputError(
                f"{output}: lies in {source}, where its {mistaken}: choose an output folder "
                "elsewhere"
            )


def check_replaceable(path: str | os.PathLike, mark: re.Pattern[bytes], *, overwrite: bool) -> None:
    """As `check_writable`, and finds out whether a file of somebody else lies at `path`.

    Args:
        mark: found in the first 64 KiB of what the program writes there, and of nothing else.
        overwrite: whatever lies there may be replaced.
    Raises InputError: as `check_writable`; or there is a file without the mark.
    """
    check_writable(path)
    if not overwrite and _lacks_mark(Path(path), mark):
        raise InputError(
            f"{path}: is there already, and is not what this tool writes: choose another name, or "
            "replace it with --overwrite"
        )


def check_own(path: Path, mark: re.Pattern[bytes]) -> None:
    """As `check_replaceable`, for a file whose name the user can't choose."""
    if not path.is_dir():
        check_writable(path)
    if path.is_dir() or _lacks_mark(path, mark):
        raise InputError(
            f"{path}: is there already, and is not what this tool writes: move it elsewhere, or "
            "choose another output folder"
        )


def _lacks_mark(path: Path, mark: re.Pattern[bytes]) -> bool:
    if not path.is_file():
        return False
    with os_errors(path), path.open("rb") as file:
        beginning = file.read(1 << 16)
    return bool(beginning) and not mark.search(beginning)


def json_mark(*lines: str) -> re.Pattern[bytes]:
    """Returns the mark, for `check_replaceable`, of an indented JSON file of the program.

    Args:
        lines: how the first lines of such a file begin, with their indentation.
    """
    return re.compile(rb"\A" + rb"[^\n]*\n".join(re.escape(line.encode()) for line in lines))
