"""Parquet files: columns of images and labels, and files that are not what they should be."""

import os
import re
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from tests.data.small_faces import encoded, write_folder
from tests.data.sources.archives import write_parquet
from tfface.data.sources import parquet
from tfface.data.sources.opening import detect_format, open_source
from tfface.data.sources.parquet import ParquetSource
from tfface.errors import InputError


def write(folder, columns, **options):
    path = folder / "faces.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path, **options)
    return path


def test_plain_columns_are_named_by_their_rows(tmp_path):
    write_folder(tmp_path / "faces", {"ann": 2, "bob": 3})
    copy = write_parquet(tmp_path / "faces", tmp_path / "copy", plain=True)
    source = ParquetSource(copy)
    assert [identity.name for identity in source.identities] == ["ann", "bob"]
    files = [
        f"train-0000{number}-of-00002.parquet/{row:08d}" for number in (0, 1) for row in range(3)
    ]
    assert {source.filename(i) for i in range(5)} == set(files) - {files[-1]}
    images = {path.read_bytes() for path in (tmp_path / "faces").rglob("*.jpg")}
    assert {source.read(i).encoded for i in range(5)} == images


def test_a_table_beside_people_is_not_the_source(tmp_path):
    write_folder(tmp_path, {"ann": 1, "bob": 1})
    write(tmp_path, {"image": [b"x"], "label": [3]})
    assert detect_format(tmp_path) == "folder"
    assert detect_format(tmp_path / "faces.parquet") == "parquet"


def test_options_choose_columns(tmp_path):
    columns = {"image": [b"x"], "picture": [b"y"], "label": [3], "person": ["ann"]}
    path = write(tmp_path, columns)
    source = ParquetSource(path, image="picture", label="label")
    assert (source.identities[0].name, source.read(0).encoded) == ("3", b"y")
    opened = open_source(f"{{source: parquet, path: {path}, image: image, label: person}}")
    assert opened.source.identities[0].name == "ann"
    with pytest.raises(InputError, match="it is not clear which is the image; its columns are: "):
        ParquetSource(path)
    with pytest.raises(InputError, match="has no column 'face'; its columns are: image, picture"):
        ParquetSource(path, image="face")


def test_few_groups_of_rows_are_kept(tmp_path, monkeypatch):
    write_folder(tmp_path / "faces", {"ann": 12})
    copy = write_parquet(tmp_path / "faces", tmp_path / "copy", rows_per_group=1)
    source = ParquetSource(copy)
    monkeypatch.setattr(parquet, "_KEPT_BYTES", 3 * len(encoded(0)))
    for index in (*range(12), *range(12)):
        assert source.read(index).encoded.startswith(b"\xff\xd8")
    assert len(source._groups._kept) < 6


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files as Linux does")
def test_files_are_open_only_while_they_are_read(tmp_path):
    write_folder(tmp_path / "faces", {"ann": 3, "bob": 3})
    copy = write_parquet(tmp_path / "faces", tmp_path / "copy")
    before = len(os.listdir("/proc/self/fd"))
    source = ParquetSource(copy)
    assert source.read(0).encoded.startswith(b"\xff\xd8")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": ["text"], "label": [1]}, "the column image is of the type string, and encoded"),
        ({"image": [b"x"], "label": [1.5]}, "the column label is of the type double, and identit"),
        ({"image": [b"x"], "label": [None]}, "the column label is of the type null, and identit"),
        ({"image": [b"x", b"y"], "label": [1, None]}, "row 1 of group 0: has no label"),
        ({"image": [b"x"], "label": [" "]}, "00000000: ' ' is no name: it is empty"),
        (
            {"image": [{"path": "a.jpg"}], "label": [1]},
            "the column image is of the type struct<pat",
        ),
        ({"image": [], "label": []}, "the column image is of the type null"),
        ({"label": [1]}, "it is not clear which is the image"),
    ],
)
def test_mistakes(tmp_path, columns, message):
    path = write(tmp_path, columns)
    with pytest.raises(InputError, match=re.escape(f"{path}: {message}")):
        ParquetSource(path)


def test_an_image_without_bytes_is_named_when_it_is_read(tmp_path):
    images = [{"bytes": b"x", "path": "a.jpg"}, {"bytes": None, "path": "b.jpg"}]
    source = ParquetSource(write(tmp_path, {"image": images, "label": [1, 1]}))
    with pytest.raises(InputError, match=r"1/b\.jpg: has no bytes"):
        source.read(1)


def test_a_label_without_a_name(tmp_path):
    table = pyarrow.table({"image": [b"x"], "label": [2]})
    info = b'{"info": {"features": {"label": {"names": ["ann", "bob"]}}}}'
    path = tmp_path / "faces.parquet"
    pyarrow.parquet.write_table(table.replace_schema_metadata({"huggingface": info}), path)
    with pytest.raises(InputError, match="has the label 2, and there are names of 2 classes"):
        ParquetSource(path)


def test_large_groups_and_other_files_are_refused(tmp_path, monkeypatch):
    path = write(tmp_path, {"image": [b"x" * 2000], "label": [1]}, compression="none")
    monkeypatch.setattr(parquet, "_LARGEST_GROUP_BYTES", 1000)
    with pytest.raises(InputError, match="write it anew with a smaller row_group_size"):
        ParquetSource(path)
    path.write_bytes(b"no parquet")
    with pytest.raises(InputError, match="can't be read as Parquet: "):
        ParquetSource(path)
    with pytest.raises(InputError, match="no such file or folder"):
        ParquetSource(tmp_path / "gone")
