"""Names of people: one spelling for each, whatever wrote it."""

import re
import unicodedata
from collections.abc import Iterable

from tfface.errors import InputError, warn

# Categories of Unicode that no name has: control characters, ends of lines and paragraphs.
_CONTROLS = ("Cc", "Zl", "Zp")
# What a spreadsheet takes for a formula; and how such a text is written instead.
_FORMULA = re.compile(r"'*[=+\-@]")
_MOST_NAMED = 5


def clean_name(name: str) -> str:
    """Returns a name without blanks around it, its accents in Unicode's composed form (NFC).

    Some systems write an accented letter as a letter and an accent: the same to people, but other
    bytes. Bytes that are no text stay as they are.

    Raises InputError: nothing is left, or the name holds a control character.
    """
    cleaned = unicodedata.normalize("NFC", name).strip()
    if not cleaned:
        raise InputError("a person's name is empty")
    if any(unicodedata.category(character) in _CONTROLS for character in cleaned):
        raise InputError(f"'{cleaned}': a person's name with a control character: rename it")
    return cleaned


def same_name(name: str) -> str:
    """Returns what names are compared by: as `clean_name`, but of any text."""
    return unicodedata.normalize("NFC", name).strip()


def warn_of_case(names: Iterable[str], where: str) -> None:
    """Warns of names that differ in upper and lower case alone: they count as several people."""
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        alike.setdefault(name.casefold(), []).append(name)
    several = [" and ".join(group) for group in alike.values() if len(group) > 1]
    if several:
        more = f" and {len(several) - _MOST_NAMED} more" if len(several) > _MOST_NAMED else ""
        warn(
            f"{where}: names that differ in upper and lower case alone count as several people: "
            f"{', '.join(several[:_MOST_NAMED])}{more}"
        )


def csv_text(text: str) -> str:
    """Returns a text as it is written into a CSV: a formula of a spreadsheet gets a `'` in front.

    `from_csv` takes it off again.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def from_csv(text: str) -> str:
    """Returns the text that `csv_text` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
