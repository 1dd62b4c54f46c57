"""Damaged record files and datasets: records or one clear error, and no more than that."""

import shutil

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.data.damage import damaged, only_input_errors
from tests.data.small_faces import write_folder
from tests.data.sources.test_tfrecord import path_record, write
from tests.property_tests import examples
from tfface.data.records import example
from tfface.data.records.conversion import convert
from tfface.data.records.example import Record
from tfface.data.sources.tfrecord import open_tfrecord


def read_all(path):
    with only_input_errors():
        source = open_tfrecord(path)
        assert len(source.labels) == source.num_images
        for name in source.attribute_names:
            source.attribute(name)
        for index in range(source.num_images):
            source.read(index)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A small dataset, converted."""
    root = tmp_path_factory.mktemp("tfrecord")
    write_folder(root / "faces", {"ann": 2, "bob": 1}, size=4)
    (root / "table.csv").write_text(
        "path,identity,pose\nfaces/ann/0.jpg,a,left\nfaces/ann/1.jpg,a,right\nfaces/bob/0.jpg,b,\n"
    )
    convert([str(root / "table.csv")], root / "dataset", num_shards=2)
    read_all(root / "dataset")
    return root / "dataset"


@pytest.mark.parametrize(
    "file", ["dataset.json", "identities.csv", "labels.int32", "data-00000-of-00002.tfrecord"]
)
@given(data=st.data())
@examples(90)
def test_damaged_dataset(dataset, file, data):
    copy = dataset.parent / f"damaged-{file}"
    shutil.copytree(dataset, copy, dirs_exist_ok=True)
    whole = (dataset / file).read_bytes()
    content = data.draw(damaged(whole))
    if file.endswith("tfrecord"):
        # Of the length that is noted: otherwise nothing but that is looked at.
        content = content[: len(whole)].ljust(len(whole), b"\0")
    (copy / file).write_bytes(content)
    read_all(copy)


@pytest.mark.parametrize("form", ["images", "paths"])
@given(data=st.data())
@examples(65)
def test_damaged_record_file(dataset, form, data):
    folder = dataset.parent / form
    if not folder.exists():
        folder.mkdir()
        write_folder(folder / "faces", {"ann": 3}, size=4)
        contents = {
            "images": [example.serialize(Record(b"image" * i, f"{i}"), i) for i in range(3)],
            "paths": [path_record(f"faces/ann/{i}.jpg", i, pose="left") for i in range(3)],
        }[form]
        write(folder / "whole", contents)
    whole = (folder / "whole").read_bytes()
    (folder / "a.tfrecord").write_bytes(data.draw(damaged(whole)))
    read_all(folder / "a.tfrecord")


@given(data=st.data())
@examples(60)
def test_damaged_records_in_sound_frames(dataset, data):
    """The frame's checksums are right, so that what is inside is looked at."""
    folder = dataset.parent / "frames"
    folder.mkdir(exist_ok=True)
    whole = data.draw(
        st.sampled_from([example.serialize(Record(b"image", "a"), 1), path_record("a.jpg", 1)])
    )
    (folder / "a.jpg").write_bytes(b"image")
    with tf.io.TFRecordWriter(str(folder / "a.tfrecord")) as writer:
        writer.write(data.draw(damaged(whole)))
        writer.write(whole)
    read_all(folder / "a.tfrecord")
