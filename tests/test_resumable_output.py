"""Folders that are made image by image, and gone on with."""

import pytest

from tfface.errors import InputError
from tfface.resumable_output import MadeFolder


def made(folder, **how):
    result = MadeFolder(folder, {"made by": "test", "seed": 1, **how})
    result.start()
    return result


def test_remembers_what_is_done(tmp_path):
    first = made(tmp_path / "out")
    first.note("a", {"share": 0.5})
    first.note("b", {})
    again = made(tmp_path / "out")
    assert again.done == {"a": {"share": 0.5}, "b": {}}
    again.note("c", {})
    assert list(made(tmp_path / "out").done) == ["a", "b", "c"]


def test_what_was_not_written_to_its_end_does_not_count(tmp_path):
    first = made(tmp_path)
    first.note("a", {})
    journal = tmp_path / ".made.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"name": "b"')
    assert list(made(tmp_path).done) == ["a"]
    journal.write_bytes(journal.read_bytes() + b'nonsense\n{"name": "c"}\n')
    assert list(made(tmp_path).done) == ["a"]


def test_what_was_removed_since_is_to_be_made_again(tmp_path):
    first = made(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.jpg").write_bytes(b"image")
        first.note(name, {"image": f"{name}.jpg"})
    (tmp_path / "a.jpg").unlink()
    assert list(made(tmp_path).done) == ["b"]


def test_leftovers_are_removed(tmp_path):
    made(tmp_path)
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / ".0.jpg-xyz.partial.jpg").write_bytes(b"half")
    made(tmp_path)
    assert list((tmp_path / "ann").iterdir()) == []


def test_another_way_is_refused(tmp_path):
    made(tmp_path)
    with pytest.raises(InputError, match=r"made in another way \(seed 1, not 2\): choose another"):
        made(tmp_path, seed=2)
    with pytest.raises(InputError, match=r"made in another way \(source\)"):
        made(tmp_path, source="x" * 64)


def test_other_folders_are_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="is not empty, and was not written by this tool"):
        made(tmp_path)
    with pytest.raises(InputError, match="is a file; the output is a folder"):
        made(tmp_path / "file")
    (tmp_path / ".made.jsonl").write_bytes(b"nonsense\n")
    with pytest.raises(InputError, match="is damaged: remove"):
        made(tmp_path)
