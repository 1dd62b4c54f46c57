"""All that is pinned holds. README.md says what that is, and how it is rewritten on purpose."""

import os
from pathlib import Path

import pytest

from tests.golden import values
from tests.golden.comparison import differences
from tests.golden.compute import Computed, computed
from tests.golden.pins import PINS, RECIPES, RESUMED, file_of

_MOST_LINES = 30
_HOW_TO_REWRITE = "meant so? python -m tests.golden.update {name} (tests/golden/README.md)"

names_of_pins = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if pin.is_slow else [])
        for name, pin in PINS.items()
    ],
)


@pytest.fixture(scope="module")
def now(request, tmp_path_factory) -> Computed:
    """The pins that the tests of this session look at, all computed in one process."""
    asked = {
        item.callspec.params["name"]
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec")
    }
    if RESUMED in asked:
        asked.add(PINS[RESUMED].file)
    test_data = os.environ.get("TFFACE_TEST_DATA")
    names = [
        name for name in PINS if name in asked and (test_data or not PINS[name].needs_test_data)
    ]
    return computed(
        names, tmp_path_factory.mktemp("golden"), Path(test_data) if test_data else None
    )


def result_of(now: Computed, name: str) -> dict:
    result = now.results[name]
    if "error" in result:
        pytest.fail(result["error"], pytrace=False)
    return result


@names_of_pins
def test_values(name, request):
    if PINS[name].needs_test_data:
        request.getfixturevalue("test_data")
    result = result_of(request.getfixturevalue("now"), name)
    pinned = values.read(file_of(name))
    found = differences(pinned.values, result["values"], PINS[name].tolerance)
    counting = [difference for difference in found if difference.counts]
    if counting:
        lines = [
            f"{len(counting)} values are other than pinned:",
            *map(str, counting[:_MOST_LINES]),
        ]
        if len(counting) > _MOST_LINES:
            lines.append(f"and {len(counting) - _MOST_LINES} more")
        lines.append(_HOW_TO_REWRITE.format(name=file_of(name)))
        pytest.fail("\n".join(lines), pytrace=False)


@pytest.mark.parametrize("name", RECIPES)
def test_weights_are_the_same_to_the_bit(name, now):
    """Where processor, libraries and settings are those of a hash."""
    result = result_of(now, name)
    pinned = values.read(file_of(name))
    environment = values.environment_name(now.fingerprint)
    if environment not in pinned.sha256:
        pytest.skip(f"no hash of this environment: {_what_is_other(now.fingerprint)}")
    assert result["sha256"] == pinned.sha256[environment], _HOW_TO_REWRITE.format(
        name=file_of(name)
    )


@pytest.mark.parametrize("name", [RESUMED])
def test_an_interrupted_run_comes_to_the_same_to_the_bit(name, now):
    assert result_of(now, name) == result_of(now, file_of(name))


def test_every_pin_has_its_file_and_no_other_is_there():
    files = {path.stem for path in values.FOLDER.glob("*.json")}
    assert files == {file_of(name) for name in PINS} | {"environments"}


def test_the_files_stay_small():
    assert sum(path.stat().st_size for path in values.FOLDER.iterdir()) < 300_000


def _what_is_other(fingerprint: dict[str, str]) -> str:
    """Says in what the environment differs from the known one that is most like it."""
    others = [
        {
            key: (known.get(key), value)
            for key, value in fingerprint.items()
            if known.get(key) != value
        }
        for known in values.environments().values()
    ]
    if not others:
        return "there are none"
    return ", ".join(f"{key} {a} -> {b}" for key, (a, b) in min(others, key=len).items())
