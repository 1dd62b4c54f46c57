"""Whatever is killed goes on as if it hadn't been. More kills: TFFACE_KILLS=10 (of each kind)."""

import os

import pytest

from tests.faults.kills import KINDS, kill

_MORE = int(os.environ.get("TFFACE_KILLS", "0"))
# By default those that differ most; tests/training/test_midway.py has the others within a process.
_KINDS = [*KINDS] if _MORE else ["two stages with a gap", "ArcFace on JAX", "conversion"]


@pytest.mark.faults
@pytest.mark.parametrize("name", _KINDS)
def test_nothing_is_lost(tmp_path, name):
    outcome = kill(KINDS[name], tmp_path / "runs", _MORE or 2, seed=0)
    assert outcome.kills.total() >= 1
    assert outcome.num_ends >= 1
    assert outcome.differences == []
