"""Files that were made to harm end with one line, soon, and without much memory."""

import pytest

from tests import hostile, hostile_weights

# Others that do the same elsewhere, or to another format, are in the default tier.
_SLOW = {
    "pairs, type of deep tuples",
    "pairs, name of deep tuples",
    "pairs, lists without end",
    "pth, the same storage often",
    "npz, header of a gigabyte",
}
each_case = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in _SLOW else [])
        for name in hostile_weights.CASES
    ],
)


@pytest.fixture(scope="module")
def outcomes(request):
    """Of the selected cases, all in one process."""
    items = [item for item in request.session.items if item.path == request.path]
    names = [item.callspec.params["name"] for item in items]
    return hostile.outcomes_of("tests.hostile_weights", names)


@each_case
def test_one_line_soon(outcomes, name):
    # The last is an odd file, but no wrong one.
    expected = ("gave _Checkpoint",) if "prefixes" in name else ("InputError ", "PickleError ")
    assert outcomes[name].startswith(expected)
    assert "\x1b" not in outcomes[name]
