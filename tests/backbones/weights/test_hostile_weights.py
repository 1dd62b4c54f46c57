"""Files that were made to harm end with one line, soon, and without much memory."""

import pytest

from tests import hostile, hostile_weights


@pytest.fixture(scope="module")
def outcomes():
    return hostile.outcomes_of("tests.hostile_weights")


@pytest.mark.parametrize("name", hostile_weights.CASES)
def test_one_line_soon(outcomes, name):
    # The last is an odd file, but no wrong one.
    expected = ("gave _Checkpoint",) if "prefixes" in name else ("InputError ", "PickleError ")
    assert outcomes[name].startswith(expected)
    assert "\x1b" not in outcomes[name]
