"""Reads and writes the files of pinned values."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from tests.golden.comparison import Difference, Tolerance, differences

FOLDER = Path(__file__).resolve().parent / "values"
_ENVIRONMENTS = FOLDER / "environments.json"
# float32 has between 6 and 9.
_SIGNIFICANT_DIGITS = 9


class Golden(NamedTuple):
    """The content of one file.

    Attributes:
        values: JSON value, compared everywhere.
        sha256: hashes by environment, compared in that environment; the environments are described
            in environments.json.
    """

    values: object
    sha256: dict[str, dict[str, str]]


def rounded(value):
    """Returns a JSON value with its numbers rounded as in the files."""
    if isinstance(value, float):
        return float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return value


def read(file: str) -> Golden | None:
    """Returns the content of a file, or None if there is no such file."""
    path = FOLDER / f"{file}.json"
    return Golden(**json.loads(path.read_text())) if path.exists() else None


def write(file: str, golden: Golden) -> None:
    _write_json(FOLDER / f"{file}.json", golden._asdict())


def environments() -> dict[str, dict[str, str]]:
    """Returns the fingerprints of the environments with pinned hashes, by their names."""
    return json.loads(_ENVIRONMENTS.read_text()) if _ENVIRONMENTS.exists() else {}


def environment_name(fingerprint: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:8]


def write_environments(known: dict[str, dict[str, str]]) -> None:
    """Writes the fingerprints that any file has hashes for."""
    files = [path.stem for path in FOLDER.glob("*.json") if path != _ENVIRONMENTS]
    used = {name for file in files for name in read(file).sha256}
    _write_json(_ENVIRONMENTS, {name: known[name] for name in used})


def updated(
    golden: Golden | None, result: dict, environment: str, tolerance: Tolerance
) -> tuple[Golden, list[Difference]]:
    """Returns the new content of a file, given a result computed in an environment.

    If all values match within the tolerance, they stay, so that they do not drift from update to
    update, and so do the hashes of other environments. If not, the values are replaced and the
    hashes of other environments, which can no longer be right, are dropped.

    Returns: the new content, and all differences between old and new values.
    """
    hashes = {environment: result["sha256"]} if "sha256" in result else {}
    if golden is None:
        return Golden(result["values"], hashes), []
    found = differences(golden.values, result["values"], tolerance)
    if any(difference.is_significant for difference in found):
        return Golden(result["values"], hashes), found
    return Golden(golden.values, {**golden.sha256, **hashes}), found


def _write_json(path: Path, content: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
