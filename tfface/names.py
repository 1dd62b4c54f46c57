"""Names of people and classes, whoever gave them: what a name is, and how a table holds it."""

import os
import re
import unicodedata
from collections.abc import Iterable

from tfface.errors import InputError, shown, warn

# Control characters, what turns the direction of writing, and what only looks like a new line.
_CONTROLS = ("Cc", "Cf", "Zl", "Zp")
# But for the two that Persian and the languages of India are written with.
_JOINERS = "\u200c\u200d"
# Spreadsheets run a cell that begins so as a formula. Quotes in front are counted, so that
# `safe_cell` can be undone; the last four are the wide forms of the first four.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_MOST_NAMED = 5
# Characters; no name of a folder is longer.
_LONGEST = 255


def clean_name(name: str) -> str:
    """Returns a name in its one form: NFC, without blanks around it.

    Raises InputError: nothing is left of it, it is longer than 255 characters, or it holds control
        characters.
    """
    cleaned = same_name(name)
    if not cleaned:
        raise InputError(f"'{shown(name)}' is no name: it is empty")
    if len(cleaned) > _LONGEST:
        raise InputError(
            f"'{shown(name)}...' is no name: it has {len(cleaned):,} characters, and may have "
            f"{_LONGEST}"
        )
    if any(unicodedata.category(c) in _CONTROLS and c not in _JOINERS for c in cleaned):
        raise InputError(f"'{shown(name)}' is no name: it holds control characters, shown as ?")
    return cleaned


def same_name(name: str) -> str:
    """Returns what names are compared by: as `clean_name`, but of any text."""
    return unicodedata.normalize("NFC", name).strip()


def differing_in_case(names: Iterable[str]) -> list[list[str]]:
    """Returns the names that differ in upper and lower case alone, those of each kind together."""
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        alike.setdefault(name.casefold(), []).append(name)
    return [group for group in alike.values() if len(group) > 1]


def warn_of_case(names: Iterable[str], where: str) -> None:
    """Warns of names that differ in upper and lower case alone: they count as several people."""
    several = [" and ".join(group) for group in differing_in_case(names)]
    if several:
        more = f" and {len(several) - _MOST_NAMED} more" if len(several) > _MOST_NAMED else ""
        warn(
            f"{where}: names that differ in upper and lower case alone count as several people: "
            f"{', '.join(several[:_MOST_NAMED])}{more}"
        )


def spelled_on_disk(path: str) -> str:
    """Returns a path as it is or, if only that is there, with accents composed or decomposed.

    Lists are written on one system and read on another.
    """
    forms = (path, *(unicodedata.normalize(form, path) for form in ("NFC", "NFD")))
    return next((form for form in forms if os.path.lexists(form)), path)


def natural_key(text: str) -> list[tuple[int, int | str]]:
    """Returns a key by which C2 is sorted before C10."""
    parts = re.split(r"([0-9]+)", text)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]


def safe_cell(text: str) -> str:
    """Returns text for a cell of a CSV: a quote in front keeps a spreadsheet from running it."""
    return "'" + text if _FORMULA.match(text) else text


def safe_row(cells: Iterable[object]) -> list[object]:
    """Returns a row of a CSV, with `safe_cell` of each text that is no number."""
    return [safe_cell(c) if isinstance(c, str) and not _is_number(c) else c for c in cells]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def cell_text(cell: str) -> str:
    """Returns the text that `safe_cell` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
