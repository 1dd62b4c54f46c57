"""Compares what the package computes now with the pinned values (README.md)."""

import os
from pathlib import Path

import pytest

from tests.golden import golden_files
from tests.golden.comparison import differences
from tests.golden.compute import Computed, compute
from tests.golden.pins import PINS, RECIPES, RESUMED, file_of

_MAX_LINES = 30
_HINT = "if that is intended: python -m tests.golden.update {name} (see tests/golden/README.md)"


@pytest.fixture(scope="module")
def computed(request, tmp_path_factory) -> Computed:
    """All pins that the selected tests look at, computed in one process."""
    wanted = {
        item.callspec.params["name"]
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec")
    }
    if RESUMED in wanted:
        wanted.add(file_of(RESUMED))
    test_data = os.environ.get("TFFACE_TEST_DATA")
    names = [
        name for name in PINS if name in wanted and (test_data or not PINS[name].needs_test_data)
    ]
    return compute(names, tmp_path_factory.mktemp("golden"), Path(test_data) if test_data else None)


def result_of(computed: Computed, name: str) -> dict:
    result = computed.results[name]
    if "error" in result:
        pytest.fail(result["error"], pytrace=False)
    return result


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if pin.is_slow else [])
        for name, pin in PINS.items()
    ],
)
def test_values(name, request):
    if PINS[name].needs_test_data:
        request.getfixturevalue("test_data")
    result = result_of(request.getfixturevalue("computed"), name)
    pinned = golden_files.read(file_of(name))
    found = differences(pinned.values, result["values"], PINS[name].tolerance)
    significant = [difference for difference in found if difference.is_significant]
    if significant:
        lines = [f"{len(significant)} values differ from the pinned ones:"]
        lines += map(str, significant[:_MAX_LINES])
        if len(significant) > _MAX_LINES:
            lines.append(f"and {len(significant) - _MAX_LINES} more")
        pytest.fail("\n".join([*lines, _HINT.format(name=file_of(name))]), pytrace=False)


@pytest.mark.parametrize("name", RECIPES)
def test_weights_are_bit_identical(name, computed):
    """In an environment whose hashes are pinned; elsewhere only the values are compared."""
    result = result_of(computed, name)
    pinned = golden_files.read(file_of(name)).sha256
    environment = golden_files.environment_name(computed.fingerprint)
    if environment not in pinned:
        pytest.skip(f"no hash of this environment: {_closest_environment(computed.fingerprint)}")
    assert result["sha256"] == pinned[environment], _HINT.format(name=file_of(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", [RESUMED])
def test_an_interrupted_run_resumes_to_the_same_bits(name, computed):
    assert result_of(computed, name) == result_of(computed, file_of(name))


def test_every_pin_has_its_file_and_there_are_no_others():
    files = {path.stem for path in golden_files.FOLDER.glob("*.json")}
    assert files == {file_of(name) for name in PINS} | {"environments"}


def test_the_files_stay_small():
    assert sum(path.stat().st_size for path in golden_files.FOLDER.iterdir()) < 300_000


def _closest_environment(fingerprint: dict[str, str]) -> str:
    """Describes how the environment differs from the most similar one with pinned hashes."""
    others = [
        [
            f"{key} {known.get(key)} -> {value}"
            for key, value in fingerprint.items()
            if known.get(key) != value
        ]
        for known in golden_files.environments().values()
    ]
    return ", ".join(min(others, key=len)) if others else "no environment has any"
