"""A journal is read as far as it was written."""

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.property_tests import examples
from tfface.alignment.journal import Entry, open_journal, stamp, start_writing
from tfface.errors import InputError

OPTIONS = {"height": 112, "width": 96, "format": "jpeg"}
ENTRIES = [
    Entry(f"{name}.jpg", (7, 8), [{"photo": f"{name}.jpg", "x": 1.5, "reason": 'a, "b"\n'}])
    for name in ("a", "b/ü", "\udcff")
]


def write(output):
    output.mkdir()
    journal = open_journal(output, OPTIONS)
    start_writing(journal)
    for entry in ENTRIES:
        journal.append(entry)
    return journal.path


def test_what_is_written_is_read(tmp_path):
    write(tmp_path / "out")
    journal = open_journal(tmp_path / "out", OPTIONS)
    assert list(journal.entries.values()) == ENTRIES


def test_a_new_folder(tmp_path):
    assert open_journal(tmp_path / "out", OPTIONS).entries == {}
    assert not (tmp_path / "out").exists()


@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_cut_anywhere_it_goes_on(tmp_path_factory, data):
    output = tmp_path_factory.mktemp("x") / "out"
    path = write(output)
    whole = path.read_bytes()
    header = whole.index(b"\n") + 1
    path.write_bytes(whole[: data.draw(st.integers(header, len(whole)))])
    journal = open_journal(output, OPTIONS)
    done = list(journal.entries.values())
    assert done == ENTRIES[: len(done)]
    start_writing(journal)
    for entry in ENTRIES[len(done) :]:
        journal.append(entry)
    assert path.read_bytes() == whole
    assert list(open_journal(output, OPTIONS).entries.values()) == ENTRIES


def test_after_a_damaged_line_nothing_counts(tmp_path):
    path = write(tmp_path / "out")
    lines = path.read_bytes().split(b"\n")
    lines[2] = b"\0" * 20
    path.write_bytes(b"\n".join(lines))
    assert list(open_journal(tmp_path / "out", OPTIONS).entries.values()) == ENTRIES[:1]


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b'{"version": 0}\n', b"[1]\n", b"\xff\n"])
def test_a_damaged_first_line(tmp_path, content):
    path = write(tmp_path / "out")
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"alignment.jsonl: is damaged: remove .*out, or choose"):
        open_journal(tmp_path / "out", OPTIONS)


def test_other_options(tmp_path):
    write(tmp_path / "out")
    with pytest.raises(InputError, match=r"with other options \(width 96, not 112\): choose"):
        open_journal(tmp_path / "out", OPTIONS | {"width": 112})


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="is not empty, and was not written by this tool"):
        open_journal(tmp_path, OPTIONS)
    with pytest.raises(InputError, match=r"notes\.txt: is a file; the output is a folder"):
        open_journal(tmp_path / "notes.txt", OPTIONS)


def test_stamps(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert stamp(tmp_path / "a") == (3, (tmp_path / "a").stat().st_mtime_ns)
    assert stamp(tmp_path / "gone") == (-1, -1)
