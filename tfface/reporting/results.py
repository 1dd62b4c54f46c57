"""results/*.csv: measured results, one per row, and the tables of README and docs made from them.

`result_columns.py` describes the columns.
"""

import csv
import numbers
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from tfface.errors import InputError, shown
from tfface.files import check_writable, replacing
from tfface.names import cell_text, safe_row
from tfface.reporting.format import MISSING, Table, mean_and_deviation
from tfface.reporting.result_columns import BOOLEAN, COLUMNS, RATIO, SHORT, TEXT

_MARKED = re.compile(
    r"<!-- table (?P<file>\S+): (?P<columns>[^>]+?) -->\n(?P<table>.*?)<!-- end of table -->",
    re.DOTALL,
)
_NUMBER, _INTEGER = re.compile(r"-?\d+(\.\d+)?"), re.compile(r"-?\d+")
# Of measured numbers.
_SIGNIFICANT_DIGITS = 6


def check_appendable(path: Path) -> None:
    """Checks before long work that rows can be added to a CSV file.

    Raises:
        InputError: it can't be written, or does not contain results.
    """
    check_writable(path)
    if path.exists():
        _read_results(path)


def append_rows(
    path: Path, rows: Sequence[Mapping[str, object]], provenance: Mapping[str, object]
) -> None:
    """Adds rows to a CSV file, which is created if necessary.

    Args:
        path: the file.
        rows: column -> value; None for a missing value.
        provenance: from `provenance.provenance`: the last columns of each row.

    Raises:
        InputError: the file has other columns, or is not one of results.
        ValueError: a column is unknown, or a value has the wrong type.
    """
    new = [to_cells({**row, **provenance}) for row in rows]
    header, old = _read_results(path) if path.exists() else ([], [])
    columns = header or list(new[0])
    for row in new:
        if list(row) != columns:
            raise InputError(f"{path}: has the columns {columns}, but the new row has {[*row]}")
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            dict(zip(columns, safe_row(row.values()), strict=True)) for row in [*old, *new]
        )


def read_rows(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a CSV file.

    Raises:
        InputError: it can't be read, or is no CSV file.
    """
    return _read(path)[1]


def _read_results(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Returns header and rows of a file to which rows can be added; none of an empty file.

    Raises:
        InputError: it can't be read, or holds anything but results.
    """
    header, rows = _read(path)
    try:
        check_cells(dict.fromkeys(header, ""))
        if not header and path.stat().st_size:
            raise ValueError("it has no header")
        for row in rows:
            if None in row or None in row.values():
                raise ValueError("a row has not as many cells as the header")
            check_cells(row)
    except ValueError as error:
        raise InputError(f"{path}: not a file of results: {error}; use another file") from error
    return header, rows


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = [
                {column: cell_text(cell) if isinstance(cell, str) else cell for column, cell in row}
                for row in map(dict.items, reader)
            ]
            return list(reader.fieldnames or []), rows
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8; use another file") from error


def to_cells(row: Mapping[str, object]) -> dict[str, str]:
    """Returns the cells of a CSV file for a row of values.

    Raises:
        ValueError: a column is unknown, or a value has the wrong type.
    """
    cells = {column: _cell(value) for column, value in row.items()}
    check_cells(cells)
    return cells


def check_cells(cells: Mapping[str, str]) -> None:
    """Raises ValueError: a column is unknown, or a cell has the wrong type."""
    for column, cell in cells.items():
        if column not in COLUMNS:
            raise ValueError(
                f"unknown column '{shown(column)}', not in tfface/reporting/result_columns.py"
            )
        kind = COLUMNS[column].format
        if kind == TEXT or cell == "":
            continue
        if kind == BOOLEAN:
            if cell not in ("true", "false"):
                raise ValueError(f"{column} must be true or false, got '{cell}'")
        elif not (_INTEGER if _is_count(kind) else _NUMBER).fullmatch(cell):
            what = "an integer" if _is_count(kind) else "a decimal number"
            raise ValueError(f"{column} must be {what}, got '{cell}'")


def text_table(rows: Sequence[Mapping[str, object]], without: Sequence[str] = ()) -> str:
    """Returns rows of values as a table for a terminal.

    Args:
        rows: column -> value, at least one row.
        without: columns to omit.
    """
    columns = [column for column in rows[0] if column not in without]
    cells = [to_cells(row) for row in rows]
    return Table(
        _headings(columns), [[format_cell(row, column) for column in columns] for row in cells]
    ).to_text()


def markdown_table(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> str:
    """Returns some columns of the rows of a file as a Markdown table.

    Raises:
        InputError: a column is missing.
    """
    missing = set(columns) - set(rows[0] if rows else columns)
    if missing:
        raise InputError(f"no column {sorted(missing)} among {[*rows[0]]}")
    lines = [_headings(columns), ["---"] * len(columns)]
    lines += [[format_cell(row, column) for column in columns] for row in rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def format_cell(row: Mapping[str, str], column: str) -> str:
    """Formats a cell for a table.

    X_mean is combined with X_std, and a rate with X_sufficient = false is marked by *.
    """
    cell = row[column]
    if cell == "":
        return MISSING
    text = _formatted(cell, COLUMNS[column].format)
    std_column = column.removesuffix("_mean") + "_std"
    if column.endswith("_mean") and row.get(std_column):
        return mean_and_deviation(text, _formatted(row[std_column], COLUMNS[std_column].format))
    return text + "*" * (row.get(f"{column}_sufficient") == "false")


def fill_tables(text: str, folder: Path) -> str:
    """Returns Markdown with every marked table regenerated from its CSV file.

    A table is between `<!-- table FILE: COLUMN, COLUMN -->` and `<!-- end of table -->`.

    Args:
        text: Markdown.
        folder: that FILE is relative to.
    """

    def fill(match: re.Match) -> str:
        columns = [column.strip() for column in match["columns"].split(",")]
        table = markdown_table(read_rows(folder / match["file"]), columns)
        opening = match[0][: match.start("table") - match.start()]
        return f"{opening}{table}<!-- end of table -->"

    return _MARKED.sub(fill, text)


def _headings(columns: Sequence[str]) -> list[str]:
    return [COLUMNS[column].heading for column in columns]


def _formatted(cell: str, kind: str) -> str:
    if kind == TEXT:
        return cell
    if kind == BOOLEAN:
        return "yes" if cell == "true" else "no"
    if _is_count(kind):
        return format(int(cell), kind)
    value = float(cell)
    if kind in (SHORT, RATIO):
        limit = 10 if kind == RATIO else 1
        decimals = 2 if abs(value) < limit else 1 if abs(value) < 100 else 0
        kind = f",.{decimals}f"
    return format(value, kind)


def _is_count(kind: str) -> bool:
    return kind.endswith("d")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        # Without an exponent as in 1e-05, and without -0.
        return format(Decimal(f"{value + 0.0:.{_SIGNIFICANT_DIGITS}g}"), "f")
    return str(value)
