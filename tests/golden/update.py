"""Rewrites pinned values on purpose, and says what has changed.

    python -m tests.golden.update                     all of them
    python -m tests.golden.update heads recipe_softmax
    python -m tests.golden.update --dry-run           says it, and writes nothing

README.md says when that is legitimate.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.golden import values
from tests.golden.comparison import Difference
from tests.golden.compute import computed
from tests.golden.pins import PINS, file_of

_MOST_LINES = 40


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 1 where a pin could not be computed."""
    options = _parse(arguments)
    names = options.names or list(PINS)
    test_data = os.environ.get("TFFACE_TEST_DATA")
    if not test_data:
        for name in [name for name in names if PINS[name].needs_test_data]:
            print(f"{name}: left as it is, as $TFFACE_TEST_DATA is not set")
            names.remove(name)
    with tempfile.TemporaryDirectory(prefix="tfface-golden-") as folder:
        now = computed(names, Path(folder), Path(test_data) if test_data else None)
    environment = values.environment_name(now.fingerprint)
    failed = [name for name in names if not _renew(name, now.results[name], environment, options)]
    if not options.dry_run:
        values.write_environments({**values.environments(), environment: now.fingerprint})
    for name in failed:
        print(f"{name}: could not be computed, left as it is:\n{now.results[name]['error']}")
    return 1 if failed else 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.golden.update",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # Whatever is run a second time to come to the same has no file of its own.
    own = [name for name in PINS if file_of(name) == name]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(own)}")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(own))
    if unknown:
        parser.error(f"no such pin: {', '.join(unknown)}; there are: {', '.join(own)}")
    options.names = options.names or own
    return options


def _renew(name: str, result: dict, environment: str, options: argparse.Namespace) -> bool:
    """Rewrites the file of a pin and says what has changed; False where there's an error."""
    if "error" in result:
        return False
    before = values.read(file_of(name))
    after, found = values.renewed(before, result, environment, PINS[name].tolerance)
    print(f"{name}: {_what_changed(before, after, found, environment)}")
    counting = [difference for difference in found if difference.counts]
    for difference in counting[:_MOST_LINES]:
        print(f"  {difference}")
    if len(counting) > _MOST_LINES:
        print(f"  and {len(counting) - _MOST_LINES} more")
    if not options.dry_run:
        values.write(file_of(name), after)
    return True


def _what_changed(
    before: values.Pinned | None, after: values.Pinned, found: list[Difference], environment: str
) -> str:
    if before is None:
        return "new"
    if after.values != before.values:
        dropped = sorted(before.sha256.keys() - after.sha256.keys())
        lost = f"; hashes of other environments dropped: {', '.join(dropped)}" if dropped else ""
        return f"{sum(difference.counts for difference in found)} values changed{lost}"
    text = "unchanged"
    if found:
        share = max(difference.distance / difference.allowed for difference in found)
        text = f"values stay ({len(found)} differ, by up to {share:.2g} of what is allowed)"
    if after.sha256 == before.sha256:
        return text
    if environment not in before.sha256:
        return f"{text}; hashes of this environment added"
    lines = [
        f"{key} {before.sha256[environment].get(key, 'nothing')[:12]} -> {value[:12]}"
        for key, value in after.sha256[environment].items()
        if before.sha256[environment].get(key) != value
    ]
    return f"{text}; hashes changed: {', '.join(lines)}"


if __name__ == "__main__":
    sys.exit(main())
