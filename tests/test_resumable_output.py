"""Folders that are made item by item, and resumed."""

import json
import os
import re

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.property_tests import examples
from tfface.errors import InputError
from tfface.resumable_output import ResumableOutput, check_options

LOG = ".made.jsonl"
ENTRIES = {name: {"rows": [{"x": 1.5, "reason": 'a, "b"\n'}]} for name in ("a", "b/ü", "\udcff")}


def started(folder, **options):
    output = ResumableOutput(folder, {"made by": "test", "seed": 1, **options})
    output.start()
    return output


def written(folder):
    output = started(folder)
    for name, entry in ENTRIES.items():
        output.append(name, entry)
    return folder / LOG


def test_what_is_written_is_read(tmp_path):
    written(tmp_path / "out")
    again = started(tmp_path / "out")
    assert again.done == ENTRIES
    assert list(again.done) == list(ENTRIES)
    again.append("c", {})
    assert list(started(tmp_path / "out").done) == [*ENTRIES, "c"]


def test_nothing_is_written_before_the_start(tmp_path):
    assert ResumableOutput(tmp_path / "out", {}).done == {}
    assert not (tmp_path / "out").exists()


def test_the_log_has_the_name_and_the_key_that_are_given(tmp_path):
    for _ in range(2):
        output = ResumableOutput(tmp_path, {}, log=".photos.jsonl", key="photo")
        output.start()
        output.append("a", {"size": 3})
        assert output.done == {"a": {"size": 3}}
    lines = (tmp_path / ".photos.jsonl").read_text().splitlines()
    assert lines[1:] == ['{"photo": "a", "size": 3}'] * 2


@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_cut_anywhere_it_is_resumed(tmp_path_factory, data):
    output = tmp_path_factory.mktemp("x") / "out"
    log = written(output)
    whole = log.read_bytes()
    header = whole.index(b"\n") + 1
    log.write_bytes(whole[: data.draw(st.integers(header, len(whole)))])
    resumed = started(output)
    num_done = len(resumed.done)
    assert list(resumed.done.items()) == list(ENTRIES.items())[:num_done]
    for name in list(ENTRIES)[num_done:]:
        resumed.append(name, ENTRIES[name])
    assert log.read_bytes() == whole


@pytest.mark.parametrize("line", [b"\0" * 20, b"[]", b'{"rows": 1}', b'{"name": "b"}'])
def test_nothing_counts_after_a_damaged_line(tmp_path, line):
    log = written(tmp_path)
    lines = log.read_bytes().split(b"\n")
    lines[2] = line
    log.write_bytes(b"\n".join(lines))
    options = {"made by": "test", "seed": 1}
    output = ResumableOutput(tmp_path, options, is_entry=lambda entry: "rows" in entry)
    assert list(output.done) == ["a"]


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"{}\n", b'{"version": 0}\n', b"[1]\n", b"\xff\n", b'{"version": 1}\n']
)
def test_a_damaged_first_line(tmp_path, content):
    written(tmp_path / "out").write_bytes(content)
    with pytest.raises(InputError, match=r"made\.jsonl: is damaged: remove .*out, or choose"):
        started(tmp_path / "out")


def test_what_was_removed_since_is_made_again(tmp_path):
    first = started(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.jpg").write_bytes(b"image")
        first.append(name, {"image": f"{name}.jpg"})
    (tmp_path / "a.jpg").unlink()
    assert list(started(tmp_path).done) == ["b"]


@pytest.mark.parametrize("entry", [{"name": 7}, {"name": "b", "image": 7}, {"image": "b.jpg"}, {}])
def test_entries_that_are_none(tmp_path, entry):
    started(tmp_path).append("a", {"share": 1})
    with (tmp_path / LOG).open("a") as log:
        log.write(json.dumps(entry) + "\n")
    assert list(started(tmp_path).done) == ["a"]


def test_a_log_that_is_a_pipe(tmp_path):
    os.mkfifo(tmp_path / LOG)
    with pytest.raises(InputError, match=r"made\.jsonl: can't be read: is no regular file"):
        started(tmp_path)


def test_leftovers_are_removed(tmp_path):
    started(tmp_path)
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / ".tfface-0a_b1c2d.partial.jpg").write_bytes(b"half")
    started(tmp_path)
    assert list((tmp_path / "ann").iterdir()) == []


@pytest.mark.parametrize("name", [".mine.partial", ".a.partial.jpg", ".tfface-notes.partial"])
def test_files_of_the_user_are_not_removed(tmp_path, name):
    started(tmp_path)
    (tmp_path / name).write_text("mine")
    (tmp_path / "ann" / name).mkdir(parents=True)
    started(tmp_path)
    assert (tmp_path / name).read_text() == "mine"
    assert (tmp_path / "ann" / name).is_dir()


def test_reports_replace_their_own_kind_alone(tmp_path):
    marks = {"report.csv": re.compile(rb"\Aimage,")}
    output = started(tmp_path)
    output.check_reports(marks, ["ann/1"])
    (tmp_path / "report.csv").write_text("image,reason\n")
    output.check_reports(marks, ["ann/1"])
    (tmp_path / "report.csv").write_text("mine")
    with pytest.raises(InputError, match=r"report\.csv: is there already, and is not what this"):
        output.check_reports(marks, ["ann/1"])
    (tmp_path / "report.csv").unlink()
    (tmp_path / "report.csv").mkdir()
    with pytest.raises(InputError, match=r"report\.csv: is there already, and is not what this"):
        output.check_reports(marks, ["ann/1"])
    with pytest.raises(InputError, match=r"images called report\.csv, or in a folder of that name"):
        output.check_reports(marks, ["report.csv/1"])


def test_other_options_are_refused(tmp_path):
    started(tmp_path)
    with pytest.raises(InputError, match=r"made with other options \(seed 1, not 2\): choose"):
        started(tmp_path, seed=2)
    with pytest.raises(InputError, match="begun with another source, or images of it have changed"):
        started(tmp_path, source="x" * 64)
    check_options(tmp_path, {"a": 1, "b": 2}, {"a": 1})


def test_logs_of_version_0_1_are_resumed(tmp_path):
    """They hold the options alone in their first line."""
    lines = [{"made by": "test", "seed": 1}, {"name": "a", "share": 0.5}]
    (tmp_path / LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert started(tmp_path).done == {"a": {"share": 0.5}}
    with pytest.raises(InputError, match=r"with other options \(seed 1, not 2\)"):
        started(tmp_path, seed=2)


def test_other_folders_are_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="is not empty, and was not written by this tool"):
        started(tmp_path)
    with pytest.raises(InputError, match="is a file; the output is a folder"):
        started(tmp_path / "file")
    (tmp_path / LOG).mkdir()
    with pytest.raises(InputError, match=r"made\.jsonl: can't be read: Is a directory"):
        started(tmp_path)
