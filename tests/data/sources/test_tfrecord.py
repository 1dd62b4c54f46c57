"""Record files as arcface-tf2 writes them: with the images, and with their paths."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.data.small_faces import encoded, write_folder
from tfface.data.records import example
from tfface.data.records.example import Record, attribute_value
from tfface.data.sources import RECOGNIZED_BY
from tfface.data.sources.tfrecord import open_tfrecord
from tfface.errors import InputError


def path_record(path: str, label: int, **more: str) -> bytes:
    """As arcface-tf2 makes it when the images stay outside; `more` are further attributes."""
    example = tf.train.Example()
    features = example.features.feature
    features["image/source_id"].int64_list.value.append(label)
    features["image/img_path"].bytes_list.value.append(path.encode())
    for name, value in more.items():
        features[f"image/attribute/{name}"].bytes_list.value.append(value.encode())
    return example.SerializeToString()


def write(path, contents):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in contents:
            writer.write(content)
    return path


@pytest.fixture
def faces(tmp_path):
    """A folder with the folder `imgs` of images, and `paths.tfrecord`."""
    write_folder(tmp_path / "imgs", {"7": 2, "30": 1})
    contents = [
        path_record("imgs/30/0.jpg", 30, pose="left"),
        path_record("./imgs/7/0.jpg", 7),
        path_record(str(tmp_path / "imgs/7/1.jpg"), 7),
    ]
    write(tmp_path / "paths.tfrecord", contents)
    return tmp_path


class TestPaths:
    def test_read_as_files(self, faces):
        source = open_tfrecord(faces / "paths.tfrecord")
        assert source.identities == [("7", "paths"), ("30", "paths")]
        assert source.labels.tolist() == [1, 0, 0]
        names = [source.filename(index) for index in range(3)]
        assert names == ["imgs/30/0.jpg", "imgs/7/0.jpg", "imgs/7/1.jpg"]
        images = [encoded(2), encoded(0), encoded(1)]
        assert [source.read(index).encoded for index in range(3)] == images
        assert dict(source.encoded(np.arange(3), 1).as_numpy_iterator()) == dict(enumerate(images))

    def test_attributes_travel_along(self, faces):
        source = open_tfrecord(faces / "paths.tfrecord")
        assert attribute_value(source.read(0), "pose") == "left"
        assert source.read(1).attributes == {}

    def test_paths_that_start_elsewhere(self, faces, tmp_path):
        write(tmp_path / "records.tfrecord", [path_record("7/0.jpg", 0)])
        source = open_tfrecord(
            tmp_path / "records.tfrecord", image_root=faces / "imgs", name="mine"
        )
        assert source.read(0).encoded == encoded(0)
        assert source.identities == [("0", "mine")]

    def test_a_folder_of_files(self, faces):
        (faces / "b").mkdir()
        for number in range(2):
            write(faces / f"b/{number}.tfrecord", [path_record(f"imgs/7/{number}.jpg", number)])
        source = open_tfrecord(faces / "b", image_root=faces)
        assert [source.filename(index) for index in range(2)] == ["imgs/7/0.jpg", "imgs/7/1.jpg"]

    @pytest.mark.parametrize(
        ("path", "why"),
        [
            ("../x.jpg", "is outside of"),
            ("/etc/passwd", "is outside of"),
            ("link/x.jpg", "is outside of"),
            ("imgs/7/9.jpg", "can't be read below .*: No such file"),
            ("imgs/7", "is not a regular file"),
            ("", "is not the path of a file"),
            ("imgs/7/0.jpg\0", "is not the path of a file"),
        ],
    )
    def test_paths_that_are_refused(self, faces, path, why):
        (faces / "link").symlink_to(faces.parent)
        write(faces / "bad.tfrecord", [path_record("imgs/7/0.jpg", 0), path_record(path, 1)])
        with pytest.raises(
            InputError, match=rf"bad\.tfrecord: record 1: .*{why}.*option 'image_root'"
        ):
            open_tfrecord(faces / "bad.tfrecord")

    def test_both_kinds_in_one_file(self, faces):
        both = [path_record("imgs/7/0.jpg", 0), example.serialize(Record(b"", "x"), 1)]
        with pytest.raises(InputError, match=r"record 1: not a face record: it has no image/img_p"):
            open_tfrecord(write(faces / "a.tfrecord", both))
        with pytest.raises(InputError, match=r"record 1: not a face record: it has no image/encod"):
            open_tfrecord(write(faces / "b.tfrecord", both[::-1])).read(1)

    def test_an_image_that_goes_away(self, faces):
        source = open_tfrecord(faces / "paths.tfrecord")
        (faces / "imgs/7/0.jpg").unlink()
        with pytest.raises(InputError, match=r"imgs/7/0\.jpg: can't be read: No such file"):
            source.read(1)


def test_images_are_for_records_of_paths_only(tmp_path):
    write(tmp_path / "a.tfrecord", [example.serialize(Record(encoded(0), "x"), 1)])
    with pytest.raises(InputError, match=r"'image_root' is given, but the records contain images"):
        open_tfrecord(tmp_path / "a.tfrecord", image_root=tmp_path)


def test_nothing_to_read(tmp_path):
    with pytest.raises(InputError, match=r"gone: no \.tfrecord file, nor a folder of them"):
        open_tfrecord(tmp_path / "gone")
    write(tmp_path / "a.tfrecord", [])
    for path in (tmp_path, tmp_path / "a.tfrecord"):
        with pytest.raises(InputError, match="holds no records"):
            open_tfrecord(path)
    write(tmp_path / "b.tfrecord", [b"no example"])
    with pytest.raises(InputError, match=r"b\.tfrecord: record 0: not a face record: no tf\.train"):
        open_tfrecord(tmp_path)
    (tmp_path / "c.tfrecord").write_bytes(b"a text of some length, say")
    with pytest.raises(
        InputError, match=r"c\.tfrecord: ends inside record 0: it is damaged, or no"
    ):
        open_tfrecord(tmp_path / "c.tfrecord")


@pytest.mark.parametrize(
    "names",
    [
        *(["a.tfrecords"], ["a.tfrec"], ["A.TFRECORD"], ["train-00000-of-00001"]),
        ["x.tfrecord-00000-of-00002", "x.tfrecord-00001-of-00002"],
    ],
)
def test_files_by_other_names(tmp_path, names):
    for number, name in enumerate(names):
        record = example.serialize(Record(encoded(number), f"{number}.jpg"), number)
        write(tmp_path / name, [record])
    (tmp_path / "README.md").write_text("no records")
    (tmp_path / f".{names[0]}").write_bytes(b"half")
    assert RECOGNIZED_BY["tfrecord"](tmp_path)
    assert RECOGNIZED_BY["tfrecord"](tmp_path / names[0])
    source = open_tfrecord(tmp_path)
    assert [source.read(index).encoded for index in range(source.num_images)] == [
        encoded(number) for number in range(len(names))
    ]


def test_a_pointer_is_said_to_be_one(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n")
    with pytest.raises(
        InputError, match=r"a\.tfrecord: is a Git LFS pointer to the file: fetch .* git lfs pull$"
    ):
        open_tfrecord(path)


@pytest.mark.parametrize("packer", ["gzip", "zlib"])
@pytest.mark.parametrize("name", ["a b.tfrecord", "a.tfrecord.gz"])
def test_the_line_on_a_packed_file_says_how_to_unpack_it(tmp_path, packer, name):
    path = tmp_path / name
    with tf.io.TFRecordWriter(str(path), packer.upper()) as writer:
        writer.write(example.serialize(Record(encoded(0), "0.jpg"), 0))
    with pytest.raises(
        InputError, match=rf"is packed by {packer} \(TFRecordOptions\): unpack it and give"
    ) as raised:
        open_tfrecord(path)
    command = str(raised.value).partition("give that file: ")[2]
    python = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", command], check=True, env=os.environ | {"PATH": python})
    source = open_tfrecord(tmp_path / "unpacked" / name.removesuffix(".gz"))
    assert source.read(0).encoded == encoded(0)


@pytest.mark.parametrize(
    "content", [b"\x78\x9cnothing packed", gzip.compress(b"no records" * 9, mtime=0)]
)
def test_what_is_packed_and_holds_no_records(tmp_path, content):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"it is damaged, or no TFRecord|is a gzip file: unpack"):
        open_tfrecord(path)
