"""Rewrites the pinned values and prints what changed.

    python -m tests.golden.update                        all pins
    python -m tests.golden.update heads recipe_softmax   these
    python -m tests.golden.update --dry-run              print only

tests/golden/README.md says when an update is legitimate.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.golden import golden_files
from tests.golden.comparison import Difference
from tests.golden.compute import compute
from tests.golden.golden_files import Golden
from tests.golden.pins import PINS, file_of

_MAX_LINES = 40
# A run that is only compared with another one has no file of its own.
_NAMES = [name for name in PINS if file_of(name) == name]


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 1 if a pin could not be computed."""
    options = _parse(arguments)
    names, test_data = options.names or _NAMES, os.environ.get("TFFACE_TEST_DATA")
    skipped = [name for name in names if PINS[name].needs_test_data and not test_data]
    names = [name for name in names if name not in skipped]
    with tempfile.TemporaryDirectory(prefix="tfface-golden-") as folder:
        computed = compute(names, Path(folder), Path(test_data) if test_data else None)
    environment = golden_files.environment_name(computed.fingerprint)
    failed = [name for name in names if "error" in computed.results[name]]
    for name in names:
        if name not in failed:
            _update(name, computed.results[name], environment, write=not options.dry_run)
    if not options.dry_run:
        golden_files.write_environments(
            {**golden_files.environments(), environment: computed.fingerprint}
        )
    for name in skipped:
        print(f"{name}: NOT UPDATED, it needs $TFFACE_TEST_DATA")
    for name in failed:
        print(f"{name}: NOT UPDATED, it failed:\n{computed.results[name]['error']}")
    return 1 if failed else 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.golden.update",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="PIN", help=f"of {', '.join(_NAMES)}")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.names) - set(_NAMES)):
        parser.error(f"no such pin: {', '.join(unknown)}; choose from {', '.join(_NAMES)}")
    return options


def _update(name: str, result: dict, environment: str, *, write: bool) -> None:
    before = golden_files.read(file_of(name))
    after, found = golden_files.updated(before, result, environment, PINS[name].tolerance)
    print(f"{name}: {_summary(before, after, found, environment)}")
    significant = [difference for difference in found if difference.is_significant]
    for difference in significant[:_MAX_LINES]:
        print(f"  {difference}")
    if len(significant) > _MAX_LINES:
        print(f"  and {len(significant) - _MAX_LINES} more")
    if write:
        golden_files.write(file_of(name), after)


def _summary(
    before: Golden | None, after: Golden, found: list[Difference], environment: str
) -> str:
    """Returns one line on what changed in a file."""
    if before is None:
        return "new"
    if after.values != before.values:
        dropped = sorted(before.sha256.keys() - after.sha256.keys())
        text = f"{sum(difference.is_significant for difference in found)} values changed"
        return text + (f"; dropped the hashes of {', '.join(dropped)}" if dropped else "")
    text = "unchanged"
    if found:
        share = max(difference.distance / difference.allowed for difference in found)
        text = f"kept, {len(found)} values differ by up to {share:.2g} of the tolerance"
    old, new = before.sha256.get(environment), after.sha256.get(environment)
    if old == new:
        return text
    if old is None:
        return f"{text}; added hashes of environment {environment}"
    changes = [f"{key} {old[key][:12]} -> {new[key][:12]}" for key in new if old[key] != new[key]]
    return f"{text}; hashes changed: {', '.join(changes)}"


if __name__ == "__main__":
    sys.exit(main())
