"""The file of all labels: written, read, checked, and added to folders without it."""

import hashlib
import json
import os

import numpy as np
import pytest

from tests.data.broken_datasets import edit_identities, edit_json, flip, make_dataset, shard
from tfface.data.records import labels_file, manifest
from tfface.data.records.manifest import DatasetFolder
from tfface.errors import InputError
from tfface.folder_lock import locked


@pytest.fixture
def dataset(tmp_path):
    return make_dataset(tmp_path)


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def read(folder) -> np.ndarray:
    return labels_file.read(folder, manifest.read(folder))


def make_older(folder) -> None:
    (folder / "labels.int32").unlink()
    said = json.loads((folder / "dataset.json").read_text())
    del said["labels"]
    (folder / "dataset.json").write_text(json.dumps(said, indent=1) + "\n")


def test_dataset_json_has_its_hash(dataset):
    said = json.loads((dataset / "dataset.json").read_text())["labels"]
    sha256 = hashlib.sha256((dataset / "labels.int32").read_bytes()).hexdigest()
    assert said == {"file": "labels.int32", "sha256": sha256}
    assert read(dataset).dtype == np.int32
    assert np.bincount(read(dataset)).tolist() == [3, 9, 1, 7]


def rewrite(folder, labels) -> None:
    sha256 = labels_file.write(folder, np.array(labels)).sha256
    edit_json(folder, labels={"file": "labels.int32", "sha256": sha256})


def make_pipe(folder):
    (folder / "labels.int32").unlink()
    os.mkfifo(folder / "labels.int32")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: (d / "labels.int32").unlink(),
            r"missing, though dataset\.json lists it; tfface ",
        ),
        (
            lambda d: (d / "labels.int32").write_bytes(b"1234"),
            "4 bytes, but the labels of all .* 80;",
        ),
        (
            lambda d: flip(d / "labels.int32", 5),
            r"its SHA-256 is .*, but dataset\.json says .*; tf",
        ),
        (lambda d: rewrite(d, [0] * 20), "label 0 is there 20 times, but identities.csv says 3"),
        (lambda d: rewrite(d, [4] * 20), "label 0 is there 0 times, but identities.csv says 3"),
        (lambda d: rewrite(d, [-1] * 20), "label 0 is there 0 times, but identities.csv says 3"),
        (make_pipe, "labels.int32: can't be read: is no regular file"),
        (
            lambda d: edit_json(d, labels={"file": "../a", "sha256": ""}),
            "labels.file: not a file's",
        ),
        (lambda d: edit_json(d, labels=7), "labels: must be an object, got 7"),
    ],
)
def test_what_is_wrong_with_it_is_one_line(dataset, change, message):
    change(dataset)
    with pytest.raises(InputError, match=message) as caught:
        read(dataset)
    assert "\n" not in str(caught.value)


def test_a_folder_that_gets_it_is_as_one_that_was_converted_with_it(dataset):
    before = content(dataset)
    make_older(dataset)
    added, was_there = labels_file.add(dataset)
    assert (added, was_there) == (manifest.read(dataset), False)
    assert content(dataset) == before
    assert labels_file.add(dataset) == (added, True)
    assert content(dataset) == before


def test_what_else_dataset_json_says_stays(dataset):
    make_older(dataset)
    edit_json(dataset, comment="of a later version")
    before = json.loads((dataset / "dataset.json").read_text())
    labels_file.add(dataset)
    after = json.loads((dataset / "dataset.json").read_text())
    assert after.pop("labels")["file"] == "labels.int32"
    assert after == before


def test_adding_was_stopped(dataset, monkeypatch):
    before = content(dataset)
    make_older(dataset)
    older = manifest.read(dataset)

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "set_labels", stop)
        with pytest.raises(KeyboardInterrupt):
            labels_file.add(dataset)
    assert manifest.read(dataset) == older
    labels_file.add(dataset)
    assert content(dataset) == before


def test_a_damaged_or_missing_file_is_written_again(dataset):
    before = content(dataset)
    flip(dataset / "labels.int32", 7)
    assert not labels_file.add(dataset)[1]
    assert content(dataset) == before
    (dataset / "labels.int32").unlink()
    assert not labels_file.add(dataset)[1]
    assert content(dataset) == before


class TestNothingIsAdded:
    """The folder stays as it is, and one line says why."""

    @pytest.fixture(autouse=True)
    def stays(self, dataset):
        make_older(dataset)
        yield
        assert "labels" not in json.loads((dataset / "dataset.json").read_text())
        assert not (dataset / "labels.int32").exists()

    def test_to_a_folder_that_is_none(self, dataset):
        with pytest.raises(InputError, match="not a converted dataset"):
            labels_file.add(dataset / "nothing")
        assert not (dataset / "nothing").exists()

    def test_to_one_that_is_being_written(self, dataset):
        with locked(dataset), pytest.raises(InputError, match="another process is writing it"):
            labels_file.add(dataset)

    def test_to_damaged_records(self, dataset):
        flip(shard(dataset, 1), 100)
        with pytest.raises(InputError, match=r"00001-of-00003\.tfrecord: can't be read"):
            labels_file.add(dataset)

    def test_to_counts_that_are_others(self, dataset):
        edit_identities(dataset, "bob,faces,9", "bob,faces,8")
        edit_identities(dataset, "cleo,faces,1", "cleo,faces,2")
        with pytest.raises(
            InputError, match=r"label 1 is there 9 times, but identities\.csv says 8"
        ):
            labels_file.add(dataset)


def test_a_foreign_file_is_not_overwritten(dataset):
    make_older(dataset)
    (dataset / "labels.int32").write_text("mine")
    with pytest.raises(InputError, match="is not what this tool writes"):
        labels_file.add(dataset)
    assert (dataset / "labels.int32").read_text() == "mine"


def test_a_folder_without_it_has_no_problem_with_it(tmp_path):
    empty = DatasetFolder([], [], None, [], 0, [])
    assert labels_file.problems(tmp_path, empty, np.array([])) == []
