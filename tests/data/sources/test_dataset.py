"""Reading a converted dataset as a stream."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.data.small_faces import write_folder
from tfface.data.records.conversion import convert
from tfface.data.records.reader import RecordFiles
from tfface.data.sources import tfrecord
from tfface.data.sources.folder import FolderSource
from tfface.data.sources.tfrecord import BareTFRecordSource, DatasetSource
from tfface.errors import InputError


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """350 images of 7 identities: several blocks, in 3 files."""
    root = tmp_path_factory.mktemp("faces")
    for identity in range(7):
        (root / "faces" / f"id{identity}").mkdir(parents=True)
    write_folder(root / "one", {"x": 1})
    image = (root / "one/x/0.jpg").read_bytes()
    for number in range(350):
        # Bytes after the image's end make every file another.
        file = root / f"faces/id{number % 7}/{number}.jpg"
        file.write_bytes(image + b"%d" % number)
    convert([str(root / "faces")], root / "dataset", num_shards=3)
    return root


def order(dataset):
    return [index for index, _ in dataset.as_numpy_iterator()]


def test_holds_what_was_converted(faces):
    folder, source = FolderSource(faces / "faces"), DatasetSource(faces / "dataset")
    assert source.identities == folder.identities
    assert source.num_images == folder.num_images
    pairs = {folder.filename(i): folder.labels[i] for i in range(350)}
    assert {source.filename(i): source.labels[i] for i in range(350)} == pairs
    assert source.labels.dtype == np.int32


def test_without_a_seed_in_file_order(faces):
    source = DatasetSource(faces / "dataset")
    assert order(source.encoded(np.arange(350))) == list(range(350))
    some = np.random.default_rng(0).permutation(350)[:100]
    assert order(source.encoded(some)) == sorted(some)
    assert order(source.encoded(some, first=30)) == sorted(some)[30:]
    for index, image in source.encoded(some).as_numpy_iterator():
        assert image == source.read(index).encoded


def test_shuffled_by_the_seed_alone(faces):
    source = DatasetSource(faces / "dataset")
    some = np.arange(0, 350, 2)
    tf.random.set_seed(1)
    first = order(source.encoded(some, 5))
    tf.random.set_seed(2)
    assert order(source.encoded(some, 5)) == first
    assert order(source.encoded(some, 5, first=100)) == first[100:]
    assert sorted(first) == some.tolist()
    assert order(source.encoded(some, 6)) != first
    # Well mixed: an image's place tells next to nothing about its number.
    assert abs(np.corrcoef(first, np.arange(len(first)))[0, 1]) < 0.25


def test_not_a_dataset(faces):
    with pytest.raises(InputError, match=r"not a converted dataset \(it has no dataset\.json\)"):
        DatasetSource(faces / "faces")


def older(folder, copy):
    """Copies a dataset as an earlier version wrote it, without a file of labels."""
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    (copy / "labels.int32").unlink()
    content = json.loads((copy / "dataset.json").read_text())
    del content["labels"]
    (copy / "dataset.json").write_text(json.dumps(content))
    return copy


def test_labels_are_read_from_their_file_alone(faces, monkeypatch):
    source = DatasetSource(faces / "dataset")
    monkeypatch.setattr(RecordFiles, "labels", lambda self: pytest.fail("all records are read"))
    assert np.bincount(source.labels).tolist() == [50] * 7


def test_labels_of_an_older_folder_are_those_of_its_records(faces, tmp_path, monkeypatch, capsys):
    folder = older(faces / "dataset", tmp_path / "old")
    source, now = DatasetSource(folder), DatasetSource(faces / "dataset")
    np.testing.assert_array_equal(source.labels, now.labels)
    # So a run that began with one folder can be resumed with the other.
    assert source.fingerprint == now.fingerprint
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(tfrecord, "_LONG", -1)
    _ = DatasetSource(folder).labels
    assert f"tfface convert --add-labels {folder}" in capsys.readouterr().err


def test_labels_must_be_listed(faces, tmp_path):
    older(faces / "dataset", tmp_path)
    lines = (faces / "dataset/identities.csv").read_text().splitlines()
    label, name, source, count = lines[6].split(",")
    more = str(int(count) + int(lines[7].rpartition(",")[2]))
    lines[6:] = [",".join([label, name, source, more])]
    (tmp_path / "identities.csv").write_text("\n".join(lines) + "\n")
    content = json.loads((tmp_path / "dataset.json").read_text())
    content["num_identities"] = 6
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"labels are 0\.\.6, but 6 identities are listed"):
        _ = DatasetSource(tmp_path).labels


def test_bare_files_name_identities_by_label(faces):
    bare, source = BareTFRecordSource(faces / "dataset"), DatasetSource(faces / "dataset")
    assert [identity.name for identity in bare.identities] == list("0123456")
    np.testing.assert_array_equal(bare.labels, source.labels)
    assert bare.read(17) == source.read(17)
    with pytest.raises(InputError, match=r"faces: no \.tfrecord file, nor a folder of them"):
        BareTFRecordSource(faces / "faces")
