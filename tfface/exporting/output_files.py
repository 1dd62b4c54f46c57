"""The files of an export: which there are, what they may replace, and how they get their names."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfface.errors import InputError
from tfface.evaluation.embedders.saved_model import METADATA_FILE
from tfface.exporting.formats import FORMATS, find_format
from tfface.exporting.model_card import JSON_MARK, MARKDOWN_MARK
from tfface.files import check_regular, os_errors
from tfface.output_paths import check_replaceable

# What a file of ours contains, in any format.
_OWN = (b"tfface", b"normalization_inside")
# The files of a SavedModel folder of ours.
_SAVED_MODEL = re.compile(
    rf"(saved_model|fingerprint)\.pb|variables/variables\.(index|data-\d+-of-\d+)|"
    rf"{re.escape(METADATA_FILE)}"
)


@contextmanager
def staging(output: Path) -> Iterator[Path]:
    """Yields a path of the same name in a folder beside, which is gone after the block."""
    with os_errors(output, "written"):
        output.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=".tfface-", suffix=".partial", dir=output.parent)
    try:
        yield Path(folder, output.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move(path: Path, to: Path) -> None:
    """Puts a file, or a whole folder, in the place of what is there.

    Args:
        path: on the same file system, in a folder that `staging` made.
        to: where it goes.

    Raises:
        InputError: it can't; what was there stays.
    """
    with os_errors(to, "written"):
        if not to.is_dir():
            os.replace(path, to)
            return
        # A folder can't be replaced in one step.
        old = path.with_name(f"{path.name}.{time.monotonic_ns()}")
        os.replace(to, old)
        try:
            os.replace(path, to)
        except OSError:
            os.replace(old, to)
            raise


def cards_of(path: Path) -> tuple[Path, Path]:
    """Returns the paths of the model card of a file: in Markdown, and in JSON."""
    return path.with_name(f"{path.name}.md"), path.with_name(f"{path.name}.json")


def files_beside(path: Path, format: str | None) -> list[Path]:
    """Returns the paths of all that an export writes beside a file.

    Args:
        path: of the file.
        format: a key of `FORMATS`; None for that of the suffix.

    Raises:
        InputError: there is no such format, or the suffix is that of another.

    Example:
        >>> [file.name for file in files_beside(Path("face.xml"), None)]
        ['face.bin', 'face.xml.md', 'face.xml.json']
    """
    return [*FORMATS[find_format(path, format)].paths(path)[1:], *cards_of(path)]


def check_output_path(output: Path, format: str, *, overwrite: bool) -> None:
    """Finds out before long work whether a file and its cards can be written.

    Args:
        output: path of the file, or of the folder of a SavedModel.
        format: a key of `FORMATS`.
        overwrite: replace files that no export wrote.

    Raises:
        InputError: something can't be written, or something foreign would be replaced.
    """
    if not output.name:
        raise InputError(f"{output}: has no name of its own: name the file or folder to write")
    # Reading it, to see whose it is, might never end.
    check_regular(output)
    markdown, content = cards_of(output)
    check_replaceable(markdown, MARKDOWN_MARK, overwrite=overwrite)
    check_replaceable(content, JSON_MARK, overwrite=overwrite)
    if format == "saved_model":
        # However it is asked for: a folder may hold anything.
        if output.exists() and not (output / METADATA_FILE).is_file():
            raise InputError(f"{output}: is there already, and no export: choose another name")
        # The whole folder is replaced.
        for path in output.rglob("*"):
            name = path.relative_to(output).as_posix()
            if not path.is_dir() and not _SAVED_MODEL.fullmatch(name):
                raise InputError(
                    f"{output}: contains {name}, which no export wrote: move it, or choose another "
                    "name"
                )
        return
    if output.is_dir():
        raise InputError(f"{output}: is a folder; give a file")
    if output.exists() and not overwrite:
        with os_errors(output):
            text = output.read_bytes()
        if not all(word in text for word in _OWN):
            raise InputError(
                f"{output}: is there already, and no export wrote it: choose another name, or "
                "replace it with --overwrite"
            )
    for path in FORMATS[format].paths(output)[1:]:
        if path.exists() and not output.exists() and not overwrite:
            raise InputError(
                f"{path}: is there already, without {output.name}: choose another name, or replace "
                "it with --overwrite"
            )
