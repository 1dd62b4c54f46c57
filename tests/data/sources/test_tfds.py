"""Datasets of TensorFlow Datasets: finding them, their splits and features."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.data.small_faces import encoded, write_folder
from tests.data.sources.tiny_people import NAMES, prepare_people
from tfface.data.records.example import attribute_value
from tfface.data.sources.tfds import open_tfds
from tfface.errors import InputError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Where tiny_people has been prepared."""
    folder = tmp_path_factory.mktemp("tfds")
    prepare_people(folder)
    return folder


def everything(source):
    """(image, identity, year) of each image, in the order of the years."""
    found = []
    for index in range(source.num_images):
        record = source.read(index)
        name = source.identities[source.labels[index]].name
        found.append((record.encoded, name, attribute_value(record, "year")))
    return sorted(found, key=lambda triple: triple[2])


EVERYTHING = [(encoded(i), NAMES[i % 3], str(1980 + i)) for i in range(12)]


class TestByName:
    def test_bytes_labels_and_attributes(self, prepared):
        source = open_tfds("tiny_people", data_dir=prepared)
        assert source.identities == [(name, "tiny_people") for name in NAMES]
        assert source.labels.dtype == np.int32
        assert everything(source) == EVERYTHING
        assert set(source.attribute_names) == {"pose", "year"}
        for index in range(12):
            year = int(source.attribute("year")[index])
            assert source.attribute("pose")[index] == (
                "" if year == 1980 else ["left", "right"][year % 2]
            )
        names = {source.filename(index) for index in range(12)}
        assert names == {f"tiny_people-train.tfrecord-00000-of-00001/{i}" for i in range(12)}

    @pytest.mark.parametrize("dataset", ["tiny_people", "tiny_people:1.0.0", "tiny_people:1.*.*"])
    def test_spellings(self, prepared, dataset):
        assert open_tfds(dataset, data_dir=prepared, name="x").identities[0] == ("ann", "x")

    def test_splits(self, prepared):
        def years(split):
            return [year for *_, year in everything(open_tfds("tiny_people", split, **options))]

        options = {"data_dir": prepared}
        assert len(years("test")) == 3
        assert len(years("train+test")) == 15
        assert sorted(years("train[:25%]") + years("train[3:]")) == years("train")
        assert len(years("train[-2:]+test[:1]")) == 3
        source = open_tfds("tiny_people", "test", **options)
        assert [identity.name for identity in source.identities] == ["ann", "bob"]
        sliced = open_tfds("tiny_people", "train[10:]", **options)
        assert [sliced.filename(i)[-3:] for i in range(2)] == ["/10", "/11"]

    @pytest.mark.parametrize(
        ("split", "why"),
        [
            ("valid", "Unknown split 'valid'. Should be one of"),
            ("train[", "Error parsing split 'train\\['"),
            ("train[:200%]", "Error parsing split"),
            ("train[5:5]", "holds no images"),
            ("", "Error parsing split|Unknown split|Unrecognized split"),
        ],
    )
    def test_splits_that_can_not_be(self, prepared, split, why):
        with pytest.raises(
            InputError, match=rf"^tiny_people/1\.0\.0: split '.*': ?.*({why})|{why}"
        ):
            open_tfds("tiny_people", split, data_dir=prepared)

    def test_other_features(self, prepared):
        source = open_tfds("tiny_people", "train[1:]", label="year", data_dir=prepared)
        assert source.num_identities == 11
        assert set(source.attribute_names) == {"pose", "name"}

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            (
                {"label": "box"},
                "label: 'box' is not a class, a whole number or a text; these are: ",
            ),
            ({"label": "is_old"}, "label: 'is_old' is not a class"),
            ({"label": "nothing"}, "label: 'nothing' is not a class"),
            ({"image": "mask"}, "image: 'mask' is not an image; these are: image"),
            ({"label": "pose"}, r"tiny_people-train\S+/\d+: has no 'pose'"),
        ],
    )
    def test_features_that_can_not_be(self, prepared, options, why):
        with pytest.raises(InputError, match=why):
            open_tfds("tiny_people", data_dir=prepared, **options)

    def test_names_that_are_not_known(self, tmp_path):
        with pytest.raises(
            InputError,
            match=r"tiny_peple: no such folder; and TensorFlow .* did you mean 'tiny_people'\?",
        ):
            open_tfds("tiny_peple", data_dir=tmp_path)
        with pytest.raises(
            InputError, match=r"no such folder; and TensorFlow Datasets knows no dataset 'q+'$"
        ):
            open_tfds("qqqqqqqqqqqqq", data_dir=tmp_path)
        with pytest.raises(InputError, match=r"^an empty path: "):
            open_tfds("", data_dir=tmp_path)
        for name in ("../x", "huggingface:x", "a b"):
            with pytest.raises(
                InputError,
                match=r"(no such folder|nor a folder 'train' of images); and '.*' is no name",
            ):
                open_tfds(name, data_dir=tmp_path, paths_start=tmp_path)

    def test_what_is_not_prepared(self, tmp_path):
        with pytest.raises(
            InputError,
            match=rf"lfw: is not prepared in {tmp_path}/lfw/\S+; to download and prepare it: "
            rf"python -c \"import .*; tfds\.builder\('lfw', data_dir='{tmp_path}'\)\.download",
        ):
            open_tfds("lfw", data_dir=tmp_path)
        with pytest.raises(InputError, match=r"lfw:9\.9\.9: .*cannot be loaded at version 9\.9\.9"):
            open_tfds("lfw:9.9.9", data_dir=tmp_path)


class TestByFolder:
    def test_prepared(self, prepared):
        source = open_tfds("tiny_people/1.0.0", paths_start=prepared)
        assert everything(source) == EVERYTHING
        assert everything(open_tfds(str(prepared / "tiny_people/1.0.0"))) == EVERYTHING

    def test_array_record(self, tmp_path):
        pytest.importorskip("array_record")
        folder = prepare_people(tmp_path, "array_record")
        assert everything(open_tfds(str(folder))) == EVERYTHING
        part = open_tfds(str(folder), "train[3:5]")
        names = [part.filename(index)[-14:] for index in range(2)]
        assert names == ["00000-of-00001"[2:] + f"/{place}" for place in (3, 4)]
        whole = open_tfds(str(folder))
        assert [part.read(i).encoded for i in (0, 1)] == [whole.read(i).encoded for i in (3, 4)]

    def test_other_formats(self, tmp_path):
        pytest.importorskip("pyarrow")
        folder = prepare_people(tmp_path, "parquet")
        with pytest.raises(
            InputError, match=r"stored as parquet, .*'tiny_people', file_format='tfrecord'\)"
        ):
            open_tfds(str(folder))

    def test_damaged(self, prepared, tmp_path):
        source = prepared / "tiny_people/1.0.0"
        for file in source.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        records = next(tmp_path.glob("*train*"))
        records.write_bytes(records.read_bytes()[:-9])
        with pytest.raises(InputError, match=r"train\S+: ends inside record 11: it is damaged"):
            open_tfds(str(tmp_path))
        (tmp_path / "dataset_info.json").write_text("{")
        with pytest.raises(InputError, match=rf"^{tmp_path}: .*"):
            open_tfds(str(tmp_path))

    def test_fingerprint_follows_files_and_options(self, prepared):
        def fingerprint(**options):
            return open_tfds("tiny_people", data_dir=prepared, **options).fingerprint

        assert fingerprint() == fingerprint()
        assert len({fingerprint(), fingerprint(split="test"), fingerprint(split="train[:3]")}) == 3
        before = fingerprint()
        os.utime(next((prepared / "tiny_people/1.0.0").glob("*train*")), ns=(1, 1))
        assert fingerprint() != before


class TestImageFolder:
    @pytest.fixture
    def root(self, tmp_path):
        write_folder(tmp_path / "faces/train", {"ann": 30, "bob": 10})
        write_folder(tmp_path / "faces/valid", {"ann": 1})
        return tmp_path / "faces"

    def test_a_split(self, root):
        source = open_tfds(str(root))
        assert source.identities == [("ann", "faces"), ("bob", "faces")]
        assert source.num_images == 40
        assert source.filename(0) == "ann/0.jpg"
        assert open_tfds("faces", "valid", paths_start=root.parent, name="x").identities == [
            ("ann", "x")
        ]

    def test_slices(self, root):
        def names(split):
            source = open_tfds(str(root), split)
            found = [source.filename(index) for index in range(source.num_images)]
            assert [name.split("/")[0] for name in found] == [
                source.identities[label].name for label in source.labels
            ]
            assert all(source.read(i).encoded for i in range(len(found)))
            return found

        halves = names("train[:50%]"), names("train[50%:]")
        assert [len(half) for half in halves] == [20, 20]
        assert sorted(halves[0] + halves[1]) == sorted(names("train"))
        # Not by label: each half has images of both.
        assert all(len({name[:3] for name in half}) == 2 for half in halves)
        with pytest.raises(InputError, match=r"split 'train\[3:3\]' holds no images"):
            names("train[3:3]")
        with pytest.raises(InputError, match=r"split 'train\[x\]': Error parsing split"):
            names("train[x]")

    def test_other_features(self, root):
        with pytest.raises(InputError, match="has the features 'image' and 'label'"):
            open_tfds(str(root), label="name")

    def test_another_split(self, root):
        with pytest.raises(
            InputError, match=r"has neither a dataset_info\.json nor a folder 'dev'"
        ):
            open_tfds(str(root), "dev")


@pytest.mark.slow
def test_is_quiet_and_imported_only_when_used(prepared):
    code = (
        "import sys; from tfface.cli import command; "
        "command.import_tensorflow_quietly(); from tfface.data.sources import SOURCES; "
        "assert 'tensorflow_datasets' not in sys.modules; "
        "from tfface.errors import InputError\n"
        f"print(SOURCES['tfds'](r'{prepared / 'tiny_people/1.0.0'}').num_images)\n"
        f"try: SOURCES['tfds']('lfw', data_dir=r'{prepared}')\n"
        "except InputError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert first == "12"
    assert second.startswith("lfw: is not prepared in")
    assert done.stderr == ""
