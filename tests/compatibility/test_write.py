"""The folder of a released version stays what it is."""

import pytest

from tests.compatibility.interface import __version__
from tests.compatibility.versions import VERSIONS, expected
from tests.compatibility.write import check, write


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_it_is_never_written_again(version):
    before = sorted((path, path.stat().st_mtime_ns) for path in version.rglob("*"))
    with pytest.raises(SystemExit, match="is there already, and is never written again"):
        write(version.name)
    assert sorted((path, path.stat().st_mtime_ns) for path in version.rglob("*")) == before


def test_only_the_version_that_runs_is_written(tmp_path):
    with pytest.raises(SystemExit, match=r"0\.0\.1: only .*, which runs, can be written"):
        write("0.0.1", tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_place_on_a_machine_is_found(tmp_path):
    (tmp_path / "a").write_bytes(b"\x00/home/ann/faces\x00")
    with pytest.raises(RuntimeError, match="a: names /home/ann/faces, a place on a machine"):
        check(tmp_path)


@pytest.mark.slow
def test_a_new_folder_holds_what_the_newest_holds(tmp_path):
    written, newest = write(__version__, tmp_path), VERSIONS[-1]
    names = {path.name for path in written.iterdir()}
    assert names >= {path.name for path in newest.iterdir()}
    assert expected(written).keys() >= expected(newest).keys()
