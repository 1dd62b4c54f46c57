"""Numbers and tables as text, shared by terminals, HTML reports and tables of results."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tfface.errors import harmless

MISSING = "-"


@dataclass(frozen=True)
class Table:
    """A table of text cells.

    Attributes:
        header: names of the columns.
        rows: one cell per column.
        notes: lines below the table.

    Example:
        >>> print(Table(["set", "pairs"], [["lfw", "6,000"]]).to_text())
        set  pairs
        lfw  6,000
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def to_text(self) -> str:
        """Returns the table for a terminal: first column left-aligned, others right-aligned.

        Cells may come from files: control characters and line breaks become "?".
        """
        table = [
            [harmless(cell).replace("\n", "?") for cell in row] for row in [self.header, *self.rows]
        ]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in table
        ]
        return "\n".join([*lines, *self.notes])

    def without(self, *columns: str) -> "Table":
        """Returns the table without these columns."""
        kept = [index for index, name in enumerate(self.header) if name not in columns]
        return self._take(kept)

    def without_empty_columns(self) -> "Table":
        """Returns the table without columns that are empty in all rows."""
        return self._take([i for i in range(len(self.header)) if any(row[i] for row in self.rows)])

    def _take(self, columns: Sequence[int]) -> "Table":
        header, *rows = [[row[i] for i in columns] for row in [self.header, *self.rows]]
        return replace(self, header=header, rows=rows)


def percent(share: float | None, sign: str = "") -> str:
    """Returns a share in percent.

    Args:
        share: None for a missing value.
        sign: "+" to show the sign of positive numbers, too.

    Example:
        >>> percent(0.8861), percent(0.01, "+"), percent(None)
        ('88.61%', '+1.00%', '-')
    """
    return MISSING if share is None else f"{100 * share:{sign}.2f}%"


def percent_interval(interval: Sequence[float] | None) -> str:
    """Returns an interval [low, high] of shares in percent.

    Example:
        >>> percent_interval([0.9904, 0.9951])
        '99.04-99.51%'
    """
    return "-".join(f"{100 * end:.2f}" for end in interval) + "%" if interval else MISSING


def mean_and_deviation(mean: str, deviation: str) -> str:
    """Joins two formatted numbers with the same unit.

    Example:
        >>> mean_and_deviation("99.30%", "0.41%")
        '99.30 +- 0.41%'
    """
    return f"{mean.removesuffix('%')} +- {deviation}"
