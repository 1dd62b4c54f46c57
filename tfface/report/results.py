"""results/*.csv: measured figures, one row each, and the tables of README made from them."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfface.errors import InputError
from tfface.files import replacing

_MARKED = re.compile(
    r"<!-- table (?P<file>\S+): (?P<columns>[^>]+?) -->\n(?P<table>.*?)<!-- end of table -->",
    re.DOTALL,
)


def append_row(path: Path, row: Mapping[str, object]) -> None:
    """Adds a row to a CSV file, which is made with the row's keys as its columns if need be.

    Raises InputError: the file has other columns.
    """
    rows = read_rows(path) if path.exists() else []
    if rows and list(rows[0]) != list(row):
        raise InputError(f"{path}: has the columns {[*rows[0]]}, and the new row has {[*row]}")
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, row])


def read_rows(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a CSV file."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from error


def markdown_table(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> str:
    """Returns the columns of all rows as a Markdown table.

    Raises InputError: a column isn't there.
    """
    missing = set(columns) - set(rows[0] if rows else columns)
    if missing:
        raise InputError(f"no column {sorted(missing)} among {[*rows[0]]}")
    lines = [columns, ["---"] * len(columns), *([row[c] for c in columns] for row in rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def fill_tables(text: str, folder: Path) -> str:
    """Returns Markdown with every marked table made anew from its CSV file.

    A table stands between `<!-- table FILE: COLUMN, COLUMN -->` and `<!-- end of table -->`.

    Args:
        folder: where FILE starts.
    """

    def fill(match: re.Match) -> str:
        columns = [column.strip() for column in match["columns"].split(",")]
        table = markdown_table(read_rows(folder / match["file"]), columns)
        opening = match[0][: match.start("table") - match.start()]
        return f"{opening}{table}<!-- end of table -->"

    return _MARKED.sub(fill, text)
