"""Images that a CSV file lists."""

import csv
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from tfface.data.sources.file_list import FileList
from tfface.data.sources.image_files import ImageFiles
from tfface.errors import InputError
from tfface.progress import progress
from tfface.text_file import START_BYTES, check_columns, check_text, delimiter_of

EXTENSIONS = {".csv": ",", ".tsv": "\t"}
_MAX_COLUMNS = 1000


class CsvSource(ImageFiles):
    """A CSV file (UTF-8) with a header and a line for each image.

    The columns `path` and `identity` are required; all others are text attributes of the images.
    Identities are sorted by the bytes of their names, which are normalized by `names.clean_name`;
    images are in the order of the lines. Empty lines and white space at the beginning of a field
    are ignored.

    Args:
        path: the file. Fields are separated by commas, in a `.tsv` file by tabs; or by semicolons,
            tabs or commas, if the first line has these and not the usual ones.
        image_root: folder of the images, which no path may leave; by default the folder of the
            file.
        path_column: name of the column with the paths of the images.
        identity_column: name of the column with the identities.
        name: the source's name in `Identity.source`; by default the stem of the file.

    Raises:
        InputError: the file can't be read, a column is missing or nameless, or of lines: the number
            of fields is wrong, the path or identity is empty, the image isn't there, lies outside
            of `image_root` or was listed before. The first 20 such lines are named.

    Example:
        >>> import os, tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (32, 32)).save(Path(folder, "1.png"))
        ...     lines = ["path,identity,pose", "1.png,ann,left"]
        ...     _ = Path(folder, "faces.csv").write_text(os.linesep.join(lines))
        ...     source = CsvSource(Path(folder, "faces.csv"))
        >>> source.identities[0].name, source.attribute("pose").tolist()
        ('ann', ['left'])
    """

    def __init__(
        self,
        path: Path,
        image_root: Path | None = None,
        path_column: str = "path",
        identity_column: str = "identity",
        *,
        name: str | None = None,
    ):
        path = Path(path)
        self.name = name or path.stem
        root = Path(image_root) if image_root is not None else path.parent
        rows = _rows(path)
        header = next(rows, (1, []))[1]
        wanted = {"path_column": path_column, "identity_column": identity_column}
        path_index, identity_index = _column_indices(path, header, wanted)
        others = [
            place for place in range(len(header)) if place not in (path_index, identity_index)
        ]

        files = FileList(path, root)
        attributes: list[list[str]] = [[] for _ in others]
        for line, row in progress(rows, description="listing", unit="images"):
            if len(row) != len(header):
                files.note(line, f"has {len(row)} fields, but there are {len(header)} columns")
                continue
            if not row[path_index] or not row[identity_index].strip():
                empty = path_column if not row[path_index] else identity_column
                files.note(line, f"'{empty}' is empty")
                continue
            if files.add(line, row[path_index], row[identity_index]):
                for values, place in zip(attributes, others, strict=True):
                    # Interned, because the same few texts are repeated.
                    values.append(sys.intern(row[place]))
        self.identities, self.labels = files.identities(self.name)
        self._set_files(
            files.root,
            files.paths,
            {
                header[place]: np.array(values, object)
                for values, place in zip(attributes, others, strict=True)
            },
        )


def is_csv(path: Path) -> bool:
    """Whether `path` is in the format of `CsvSource`."""
    return path.suffix.lower() in EXTENSIONS and path.is_file()


def _column_indices(path: Path, header: list[str], wanted: dict[str, str]) -> list[int]:
    """Returns the indices of columns.

    Args:
        wanted: option -> column.
    """
    if not any(header):
        raise InputError(f"{path}: expected a first line with the columns' names")
    if len(header) > _MAX_COLUMNS:
        raise InputError(f"{path}: has {len(header):,} columns; {_MAX_COLUMNS:,} can be read")
    for place, column in enumerate(header):
        if not column.strip():
            raise InputError(
                f"{path}: column {place + 1} has no name: name it, or leave it out (pandas writes "
                "its index so: index=False)"
            )
    check_columns(path, header)
    for option, column in wanted.items():
        if column not in header:
            raise InputError(
                f"{path}: has no column '{column}'; its columns are: {', '.join(header)}; say "
                f"which it is, as in {{source: csv, path: {path}, {option}: {header[0]}}}"
            )
    if len(set(wanted.values())) < len(wanted):
        [column] = set(wanted.values())
        raise InputError(f"{path}: '{column}' can't be path_column and identity_column at once")
    return [header.index(column) for column in wanted.values()]


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields (line number, fields) of rows that are not blank."""
    usual = EXTENSIONS.get(path.suffix.lower(), ",")
    try:
        with path.open("rb") as file:
            lines = _lines(path, file)
            first = next(lines, "")
            rows = csv.reader(
                itertools.chain([first], lines),
                delimiter=delimiter_of(first, usual),
                skipinitialspace=True,
                strict=True,
            )
            try:
                for row in rows:
                    if row:
                        yield rows.line_num, row
            except csv.Error as error:
                raise InputError(f"{path}: line {rows.line_num}: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error


def _lines(path: Path, file: IO[bytes]) -> Iterator[str]:
    # Lines of files from old Macs end in a return alone.
    lines = (line for part in file for line in part.splitlines(keepends=True))
    for number, line in enumerate(lines, start=1):
        if number == 1:
            check_text(path, line[:START_BYTES])
        if b"\0" in line:
            raise InputError(f"{path}: line {number}: holds a zero byte: it is no text in UTF-8")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{path}: line {number}: is no text in UTF-8") from None
