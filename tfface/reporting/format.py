"""Numbers and tables as text: what terminals, pages and the tables of results share."""

from collections.abc import Sequence

from tfface.errors import harmless

MISSING = "-"


def percent(share: float | None, sign: str = "") -> str:
    """Returns a share in percent, as 88.61%; "-" where there is none.

    Args:
        sign: "+" to show that of a share above 0 as well.
    """
    return MISSING if share is None else f"{100 * share:{sign}.2f}%"


def align(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table as text: the first column to the left, the others to the right.

    A cell is on one line, and holds nothing that a terminal obeys: names come from files.
    """
    table = [[harmless(cell).replace("\n", "?") for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )
