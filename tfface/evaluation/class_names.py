"""What a classifier's classes are called, by their places."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from tfface.errors import InputError
from tfface.names import cell_text
from tfface.text_file import check_columns, open_text


def read_class_names(path: Path, *, distinct: bool = True) -> list[str]:
    """Reads the names of classes; position = label.

    Args:
        path: a text file with a name on each line, or a CSV file with the columns `label` (0, 1, 2,
            ... in order) and `name`, as the identities.csv of a run folder and of a dataset is.
        distinct: False where two may have one name, as identities of two sources may.
    Raises InputError: the file can't be read, or names fewer than two classes, or one twice.
    """
    try:
        with open_text(path) as file:
            text = file.read()
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    if path.suffix.lower() == ".csv":
        names = _read_csv(path, text)
    else:
        names = [line.strip() for line in text.splitlines()]
        while names and not names[-1]:
            names.pop()
    if "" in names:
        raise InputError(f"{path}: class {names.index('')} has no name")
    if len(names) < 2:
        raise InputError(f"{path}: names {len(names)} classes, and there must be two at least")
    if distinct:
        check_distinct(names, f"{path}: two classes")
    return names


def check_distinct(names: Sequence[str], what: str) -> None:
    """Raises InputError where a name is there twice; the message begins with `what`."""
    known = set()
    for name in names:
        if name in known:
            raise InputError(f"{what} are called '{name}', so it is not known which is meant")
        known.add(name)


def _read_csv(path: Path, text: str) -> list[str]:
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""))
        check_columns(path, reader.fieldnames or [], ["label", "name"])
        rows = list(reader)
        labels = [int(row["label"]) for row in rows]
        names = [cell_text(row["name"] or "") for row in rows]
    except InputError:
        raise
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: needs the columns label (whole numbers) and name, as the identities.csv of "
            "a run folder has them"
        ) from error
    if labels != list(range(len(rows))):
        raise InputError(f"{path}: the labels are not 0, 1, 2, ... in order")
    return names
