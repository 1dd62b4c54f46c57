"""WebDataset shards: which files make a sample, and archives that are not what they should be."""

import os
import re
import tarfile
from pathlib import Path

import pytest

from tests.data.small_faces import encoded, write_folder
from tests.data.sources.archives import write_tar, write_webdataset
from tfface.data.sources.opening import detect_format
from tfface.data.sources.tar_file import TarFile
from tfface.data.sources.webdataset import WebDatasetSource
from tfface.errors import InputError

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def shard(folder, files):
    return write_tar(folder / "shard.tar", files)


def error(folder, files, **options):
    with pytest.raises(InputError) as raised:
        WebDatasetSource(shard(folder, files), **options)
    message = str(raised.value)
    assert "\n" not in message
    return message.removeprefix(f"{folder / 'shard.tar'}: ")


class TestArchive:
    @pytest.mark.parametrize("format", FORMATS)
    def test_files_are_where_tarfile_finds_them(self, tmp_path, format):
        names = ["a.jpg", "ann/" + "b" * 90 + ".jpg", "é/1.jpg"]
        if format != "ustar":
            names.append("long/" * 60 + "c.jpg")
        files = {name: encoded(number) for number, name in enumerate(names)}
        path = write_tar(tmp_path / "a.tar", files, FORMATS[format])
        archive = TarFile(path)
        found = {m.name.decode(): archive.read(m.start, m.size) for m in archive.members()}
        assert found == files

    def test_prefix_of_a_posix_name(self, tmp_path):
        name = "p" * 80 + "/" + "n" * 60
        [member] = TarFile(write_tar(tmp_path / "a.tar", {name: b"x"})).members()
        assert member.name.decode() == name

    def test_folders_are_passed_over_and_links_are_not(self, tmp_path):
        for kind, type_ in (("folder", tarfile.DIRTYPE), ("link", tarfile.SYMTYPE)):
            with tarfile.open(tmp_path / f"{kind}.tar", "w") as archive:
                info = tarfile.TarInfo("ann")
                info.type, info.linkname = type_, "/etc/passwd"
                archive.addfile(info)
        assert list(TarFile(tmp_path / "folder.tar").members()) == []
        with pytest.raises(InputError, match=r"link\.tar: ann is a link: pack files alone"):
            list(TarFile(tmp_path / "link.tar").members())

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda whole: whole[:2049], "ends inside 1.cls: it is cut short"),
            (lambda whole: whole[:1536], "has no end: it is cut short, and images may be missing"),
            (lambda whole: whole[:300], "no tar archive: it is too short"),
            (lambda whole: whole + whole, "more follows behind its end"),
            (lambda whole: b"x" + whole[1:], "no tar archive: a header has a wrong checksum"),
            (lambda whole: b"\x1f\x8b" + whole[2:], "is a gzip file: unpack it"),
        ],
    )
    def test_damage_is_said(self, tmp_path, damage, message):
        path = write_tar(tmp_path / "a.tar", {"1.jpg": b"x" * 600, "1.cls": b"ann"})
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(InputError, match=re.escape(f"{path}: {message}")):
            list(TarFile(path).members())

    def test_absurd_sizes_are_refused(self, tmp_path):
        path = write_tar(tmp_path / "a.tar", {"1.jpg": b"x"}, tarfile.GNU_FORMAT)
        whole = bytearray(path.read_bytes())
        whole[124:136] = b"\x80" + (2**80).to_bytes(11, "big")
        whole[148:156] = b"%06o\0 " % (sum(whole[:148]) + 8 * 32 + sum(whole[156:512]))
        path.write_bytes(whole)
        with pytest.raises(InputError, match=r"ends inside 1\.jpg"):
            list(TarFile(path).members())
        write_tar(path, {"n" * 5000: b"x"}, tarfile.GNU_FORMAT)
        with pytest.raises(InputError, match="a name or header in it has 5,001 bytes"):
            list(TarFile(path).members())


class TestSamples:
    def test_identity_by_text_number_or_key(self, tmp_path):
        files = {
            "b.jpg": encoded(0),
            "b.cls": b" ann\n",
            "a.jpg": encoded(1),
            "a.cls": b"7",
            "c.jpg": encoded(2),
            "c.json": b'{"label": 7, "name": "no"}',
        }
        source = WebDatasetSource(shard(tmp_path, files))
        assert [identity.name for identity in source.identities] == ["7", "ann"]
        assert [source.filename(i) for i in range(3)] == ["7/a.jpg", "7/c.jpg", "ann/b.jpg"]
        assert source.labels.tolist() == [0, 0, 1]
        assert source.read(2).encoded == encoded(0)

    def test_options_choose(self, tmp_path):
        files = {
            "a.left.jpg": encoded(0),
            "a.right.jpg": encoded(1),
            "a.json": b'{"label": 1, "identity": 2, "name": "ann"}',
            "a.person.txt": b"bob",
        }
        path = shard(tmp_path, files)
        source = WebDatasetSource(path, label="name", image="right.jpg")
        assert source.identities[0].name == "ann"
        assert source.read(0).encoded == encoded(1)
        assert WebDatasetSource(path, "person.txt", "left.jpg").identities[0].name == "bob"
        assert "choose by the option image, as in image: left.jpg" in error(tmp_path, files)
        found = error(tmp_path, files, image="left.jpg")
        assert "several keys that may be its identity" in found
        assert "choose by the option label" in found

    def test_equal_names_get_the_identity_or_the_shard_before_them(self, tmp_path):
        for number, people in enumerate((b"ann", b"bob")):
            files = {"0.jpg": encoded(number), "0.cls": people}
            write_tar(tmp_path / f"{number}.tar", files)
        assert WebDatasetSource(tmp_path).filename(1) == "bob/0.jpg"
        write_tar(tmp_path / "2.tar", {"0.jpg": encoded(2), "0.cls": b"bob"})
        source = WebDatasetSource(tmp_path)
        assert [source.filename(i) for i in range(3)] == [
            "0.tar/0.jpg",
            "1.tar/0.jpg",
            "2.tar/0.jpg",
        ]

    @pytest.mark.parametrize(
        ("files", "message"),
        [
            ({"a.jpg": b"x"}, "the sample a has neither a file .cls nor a .json with its identity"),
            ({"a.cls": b"1"}, "the sample a has no image, but: cls"),
            ({"a.jpg": b"x", "a.json": b"[]"}, "the sample a.json: must be an object"),
            ({"a.jpg": b"x", "a.json": b"{"}, "the sample a.json: can't be read: "),
            ({"a.jpg": b"x", "a.json": b"[" * 99_999}, "the sample a.json: can't be read: nested"),
            ({"a.jpg": b"x", "a.json": b'{"age": 3}'}, "the sample a.json: no identity; its keys "),
            ({"a.jpg": b"x", "a.json": b'{"label": 1.5}'}, "the sample a.json: label: must be a "),
            ({"a.jpg": b"x", "a.cls": b"\xff"}, "the sample a.cls: is no text in UTF-8"),
            ({"a.jpg": b"x", "a.cls": b""}, "a.jpg: '' is no name: it is empty"),
            ({"a.jpg": b"x", "a.cls": b"1" * 9999}, "the sample a.cls: has 9,999 bytes, which no "),
            (
                {"a.jpg": b"x", "a.cls": b"1", "b.jpg": b"x", "b.cls": b"1", "a.png": b"x"},
                "the files of the sample a do not follow each other",
            ),
        ],
    )
    def test_mistakes(self, tmp_path, files, message):
        assert error(tmp_path, files).startswith(message)


def test_shards_beside_folders_of_people_are_not_the_set(tmp_path):
    """An archive often lies beside what was unpacked from it."""
    write_folder(tmp_path / "faces", {"ann": 2})
    write_tar(tmp_path / "faces" / "ann.tar", {"1.jpg": b"x"})
    assert detect_format(tmp_path / "faces") == "folder"
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"holds no \.tar file"):
        WebDatasetSource(empty)
    with pytest.raises(InputError, match="no such file or folder"):
        WebDatasetSource(tmp_path / "gone")


def test_a_shard_that_shrinks_while_it_is_read(tmp_path):
    write_folder(tmp_path / "faces", {"ann": 2})
    source = WebDatasetSource(write_webdataset(tmp_path / "faces", tmp_path / "shards"))
    for path in (tmp_path / "shards").iterdir():
        path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(InputError, match="has become shorter while it was read"):
        source.read(0)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files as Linux does")
def test_more_shards_than_files_may_be_open(tmp_path):
    for number in range(300):
        write_tar(tmp_path / f"{number:06d}.tar", {"1.jpg": encoded(number % 9), "1.cls": b"ann"})
    before = len(os.listdir("/proc/self/fd"))
    source = WebDatasetSource(tmp_path)
    assert [source.read(i).encoded for i in range(300)] == [encoded(i % 9) for i in range(300)]
    assert len(os.listdir("/proc/self/fd")) - before <= 256
