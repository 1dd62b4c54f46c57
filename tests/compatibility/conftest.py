"""Every test that takes `old` runs on what each version wrote."""

from pathlib import Path

import pytest

from tests.compatibility.versions import VERSIONS, copy_of


@pytest.fixture(params=VERSIONS, ids=lambda version: version.name)
def old(request, tmp_path) -> Path:
    """A copy of a version's folder, to be read and changed."""
    return copy_of(request.param, tmp_path / "old")
