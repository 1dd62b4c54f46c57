"""Verification on a page."""

from collections.abc import Mapping

from tfface.report import page
from tfface.report.verification_table import (
    FOOTNOTE,
    header,
    needs_footnote,
    table_rows,
    threshold_sentence,
)


def verification_section(sets: Mapping[str, Mapping]) -> str:
    """Returns the table of all sets, and which threshold to use.

    Args:
        sets: pair set -> its figures (`VerificationResult.to_json()`).
    """
    rows = [[cell.replace("+-", "\u00b1") for cell in row] for row in table_rows(sets)]
    parts = [page.table(header(sets), rows)]
    if needs_footnote(sets):
        parts.append(page.note(FOOTNOTE))
    parts.append(page.items(threshold_sentence(*item) for item in sets.items()))
    return page.section("Verification", *parts)
