"""Writing files whole or not at all."""

import json
import os
import re
import socket

import pytest

from tfface.errors import InputError
from tfface.files import check_writable, is_file_name, parse_json, read_bytes, replacing, write_json
from tfface.output_paths import check_replaceable


def test_replaces_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "file.tar.gz"
    with replacing(path) as temporary:
        assert temporary.name.endswith(".gz")
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("size", [0, 1, 1 << 16, (1 << 16) + 1, 300_000])
def test_all_bytes_are_read(tmp_path, size):
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    assert read_bytes(tmp_path / "file") == content
    assert read_bytes(os.fsencode(tmp_path / "file")) == content


def test_what_is_no_file_is_not_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone"):
        read_bytes(tmp_path / "gone")
    with pytest.raises(IsADirectoryError, match="directory"):
        read_bytes(tmp_path)


def test_an_error_in_the_block_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_can_be_written_is_left_alone(tmp_path):
    (tmp_path / "old").write_text("old")
    for name in ("old", "new", "below/new"):
        check_writable(tmp_path / name)
    assert (tmp_path / "old").read_text() == "old"
    assert not (tmp_path / "new").exists()
    assert not list((tmp_path / "below").iterdir())


def test_what_can_not_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"file/new: can't be written: "):
        check_writable(tmp_path / "file" / "new")
    with pytest.raises(InputError, match="is a folder; give a file"):
        check_writable(tmp_path)
    with (
        pytest.raises(InputError, match=r"file/new: can't be written: "),
        replacing(tmp_path / "file" / "new"),
    ):
        pass


def test_pipes_sockets_and_devices_are_not_replaced(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    # The path of a socket is short.
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
    # Only its kind is looked up.
    (tmp_path / "device").symlink_to(os.devnull)
    for name in ("pipe", "socket", "device"):
        path = tmp_path / name
        before = path.lstat()
        refused = rf"{name}: is a device, a pipe or a socket, and no regular file"
        with pytest.raises(InputError, match=refused):
            check_writable(path)
        with pytest.raises(InputError, match=refused):
            check_replaceable(path, re.compile(b""), overwrite=True)
        with pytest.raises(InputError, match=refused), replacing(path):
            pass
        assert path.lstat() == before
    assert sorted(os.listdir(tmp_path)) == ["device", "pipe", "socket"]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "file"
    link = tmp_path / "link"
    link.symlink_to("elsewhere/file")
    for content in ("new", "newer"):
        check_writable(link)
        with replacing(link) as temporary:
            temporary.write_text(content)
        assert link.is_symlink()
        assert target.read_text() == content
    assert os.listdir(target.parent) == ["file"]
    with pytest.raises(InputError, match="link: is there already, and is not what"):
        check_replaceable(link, re.compile(b"ours"), overwrite=False)
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(InputError, match="circle: can't be written: "):
        check_writable(tmp_path / "circle")


@pytest.mark.parametrize("text", ["", "{", "[" * 300_000, b"\xff", '{"a":' * 100_000])
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"Expecting|nested too deep|codec can't decode"):
        parse_json(text)


@pytest.mark.parametrize("name", ["a", "a b.tfrecord", "é" * 127, "\udcff"])
def test_names_of_files(name):
    assert is_file_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/a", "a\0b", "a" * 256, "é" * 128, "\ud800"]
)
def test_what_is_no_name_of_a_file(name):
    assert not is_file_name(name)


def test_json_keeps_names_that_are_no_text(tmp_path):
    content = {"Zo\u00eb": ["a\udcff.jpg", 0.25]}
    write_json(tmp_path / "figures.json", content)
    assert json.loads((tmp_path / "figures.json").read_text(encoding="utf-8")) == content
    assert "Zo\u00eb" in (tmp_path / "figures.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["x" * 251 + ".jpg", "Dr. X at " + "y" * 240 + " left", "é" * 127])
def test_a_name_as_long_as_a_name_can_be(tmp_path, name):
    with replacing(tmp_path / name) as temporary:
        temporary.write_text("new")
        assert len(temporary.name) < 60
    assert (tmp_path / name).read_text() == "new"
