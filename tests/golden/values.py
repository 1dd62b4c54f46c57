"""The files of pinned values, and what a rewriting makes of them."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from tests.golden.comparison import Difference, Tolerance, differences

FOLDER = Path(__file__).resolve().parent / "values"
_ENVIRONMENTS = FOLDER / "environments.json"
_DIGITS = 9


class Pinned(NamedTuple):
    """What a file holds.

    Attributes:
        values: JSON.
        sha256: of each environment, by its name in environments.json, the hashes of a run there.
    """

    values: object
    sha256: dict[str, dict[str, str]]


def rounded(value):
    """Returns JSON with its numbers as files have them: to nine digits, more than float32 has."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return value


def read(file: str) -> Pinned | None:
    """Returns what a file of `values/` holds, or None where there is none."""
    path = FOLDER / f"{file}.json"
    return Pinned(**json.loads(path.read_text())) if path.exists() else None


def write(file: str, pinned: Pinned) -> None:
    _write_json(FOLDER / f"{file}.json", pinned._asdict())


def environments() -> dict[str, dict[str, str]]:
    """Returns the fingerprints in which hashes were pinned, by name."""
    return json.loads(_ENVIRONMENTS.read_text()) if _ENVIRONMENTS.exists() else {}


def environment_name(fingerprint: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:8]


def write_environments(known: dict[str, dict[str, str]]) -> None:
    """Writes those that a file has hashes of."""
    files = [path.stem for path in FOLDER.glob("*.json") if path != _ENVIRONMENTS]
    used = {name for file in files for name in read(file).sha256}
    _write_json(_ENVIRONMENTS, {name: known[name] for name in used})


def renewed(
    pinned: Pinned | None, result: dict, environment: str, tolerance: Tolerance
) -> tuple[Pinned, list[Difference]]:
    """Returns what a file is to hold after a result in an environment, and what differs.

    Where all values are as close as is allowed they stay, so that they don't wander with each
    rewriting, and so do the hashes of other environments. Otherwise these can't be right any more.
    """
    hashes = {environment: result["sha256"]} if "sha256" in result else {}
    if pinned is None:
        return Pinned(result["values"], hashes), []
    found = differences(pinned.values, result["values"], tolerance)
    if any(difference.counts for difference in found):
        return Pinned(result["values"], hashes), found
    return Pinned(pinned.values, {**pinned.sha256, **hashes}), found


def _write_json(path: Path, content: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
