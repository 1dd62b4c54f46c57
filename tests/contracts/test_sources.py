"""What every source of the table must do; a new one is told here how to make a small one."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.data.recordio_writer import insightface_records, write
from tests.data.small_faces import encoded, write_folder
from tests.data.sources.archives import write_list, write_parquet, write_tface, write_webdataset
from tests.data.sources.test_tfrecord import path_record
from tests.data.sources.test_tfrecord import write as write_records
from tests.data.sources.tiny_people import prepare_people
from tfface.data.records import example
from tfface.data.records.conversion import convert
from tfface.data.records.example import Record
from tfface.data.sources import SOURCES
from tfface.data.sources.photos import PhotosSource
from tfface.images.decoding import decode
from tfface.registry import build_from_config, options_schema

COUNTS = {"ann": 3, "bob": 4, "cleo": 5}


def _write_dataset(folder):
    write_folder(folder / "faces", COUNTS)
    convert([str(folder / "faces")], folder / "dataset", num_shards=2)
    return {"path": folder / "dataset"}


def _write_recordio(folder):
    numbers = itertools.count()
    images = [[encoded(next(numbers)) for _ in range(count)] for count in COUNTS.values()]
    return {"path": write(folder / "train.rec", insightface_records(images)).parent}


def _write_csv(folder):
    write_folder(folder / "faces", COUNTS)
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*.jpg"))
    lines = [f"{path.parent.name},{path}\n" for path in paths]
    (folder / "faces.csv").write_text("identity,path\n" + "".join(lines))
    return {"path": folder / "faces.csv"}


def _faces(folder):
    return write_folder(folder / "faces", COUNTS)


def _write_tface(folder):
    return {"path": write_tface(_faces(folder), folder / "index" / "TFR-tiny.index")}


def _write_kface(folder):
    for number, name in enumerate(f"{i}/S001/L{j}/E01/C1" for i in range(3) for j in range(3, 7)):
        (folder / name).parent.mkdir(parents=True)
        (folder / f"{name}.jpg").write_bytes(encoded(number))
        (folder / f"{name}.txt").write_text("1 1\n" * 7 + "2 3 9 9\n")
    return {"path": folder, "crop": "box"}


def _write_images_in_records(folder):
    contents = [example.serialize(Record(encoded(i), f"{i}.jpg"), i // 4) for i in range(12)]
    return {"path": write_records(folder / "a.tfrecord", contents)}


def _write_paths_in_records(folder):
    write_folder(folder / "faces", COUNTS)
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*.jpg"))
    labels = {name: label for label, name in enumerate(COUNTS)}
    contents = [path_record(str(path), labels[path.parent.name]) for path in paths]
    return {"path": write_records(folder / "a.tfrecord", contents)}


def _prepare_tfds(folder):
    prepare_people(folder)
    return {"dataset": "tiny_people", "data_dir": folder}


def _write_tfds_image_folder(folder):
    write_folder(folder / "faces/train", COUNTS)
    return {"dataset": "faces"}


def _write_split(folder):
    # Two images of each are in another part, and two people are left out.
    images = {"ann": 6, "bob": 6, "cleo": 6, "dora": 6, "emil": 3}
    write_folder(folder / "faces", images)
    return {
        "path": folder / "faces",
        "shots": 4,
        "seed": 2,
        "num_identities": 3,
        "min_images": 4,
    }


def _split_of_csv(folder):
    _write_csv(folder)
    return {
        "of": {"source": "csv", "path": "faces.csv", "image_root": "."},
        "shots": 5,
        "seed": 1,
    }


def _write_union(folder):
    write_folder(folder / "photos", {"ann": 3, "bob": 2})
    write_folder(folder / "more", {"cleo": 5, "bob": 2})
    return {"of": [{"source": "folder", "path": name} for name in ("photos", "more")]}


def _union_of_streams(folder):
    """Two streams, beside a source with attributes."""
    for name, counts in {"a": {"ann": 2, "bob": 1}, "b": {"bob": 3}}.items():
        write_folder(folder / name, counts)
        convert([str(folder / name)], folder / f"{name}_records", num_shards=1)
    write_folder(folder / "photos", {"cleo/home": 3, "cleo/work": 2, "ann/home": 1})
    return {
        "of": [
            {"source": "tfrecord", "path": "a_records"},
            {"source": "folder", "path": "photos"},
            {"source": "tfrecord", "path": "b_records"},
        ]
    }


# Writes what the source reads below a folder, and returns the source's options. A key is that of
# `SOURCES`, and after a comma, where a source reads several things, which it is.
MAKERS = {
    "folder": lambda folder: {"path": write_folder(folder / "faces", COUNTS)},
    "tfrecord": _write_dataset,
    "tfrecord, images": _write_images_in_records,
    "tfrecord, paths": _write_paths_in_records,
    "csv": _write_csv,
    "list": lambda folder: {"path": write_list(_faces(folder), folder / "list.txt")},
    "webdataset": lambda folder: {"path": write_webdataset(_faces(folder), folder / "shards")},
    "parquet": lambda folder: {"path": write_parquet(_faces(folder), folder / "files")},
    "tface": _write_tface,
    "photos": lambda folder: {"path": _faces(folder)},
    "kface": _write_kface,
    "recordio": _write_recordio,
    "tfds": _prepare_tfds,
    "tfds, images": _write_tfds_image_folder,
    "synthetic": lambda _: {"num_identities": 3, "images_per_identity": 4, "size": 32},
    "split": _write_split,
    "split, of": _split_of_csv,
    "union": _write_union,
    "union, streams": _union_of_streams,
}


def test_every_source_can_be_made():
    assert {key.partition(",")[0] for key in MAKERS} == set(SOURCES)


# tests/data/sources/test_union.py has streams in the default tier.
_SLOW = {"union, streams"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.slow] if name in _SLOW else []) for name in MAKERS
    ],
)
def make(request, tmp_path_factory):
    part = SOURCES[request.param.partition(",")[0]]
    folder = tmp_path_factory.mktemp("source")
    options = MAKERS[request.param](folder)
    options_schema(part).model_validate(options)
    return lambda: build_from_config(part, options, folder, paths_start=folder)


@pytest.fixture(scope="module")
def source(make):
    return make()


def test_labels_and_identities(source):
    assert source.num_images == 12
    number = 1 if isinstance(source, PhotosSource) else 3
    assert source.num_identities == len(source.identities) == number
    assert len(set(source.identities)) == number
    assert all(identity.name and identity.source for identity in source.identities)
    assert source.labels.dtype == np.int32
    assert sorted(set(source.labels)) == list(range(number))


def test_every_image_has_a_name_and_decodes(source):
    assert len({source.filename(index) for index in range(12)}) == 12
    for index, image in source.encoded(np.arange(12)).as_numpy_iterator():
        assert decode(tf.constant(image), 16, 16).shape == (16, 16, 3)
        record = source.read(index)
        assert record.encoded == image
        assert record.filename == source.filename(index)


def test_gives_exactly_the_images_asked_for(source):
    wanted = np.array([2, 3, 5, 11])
    everything = dict(source.encoded(np.arange(12)).as_numpy_iterator())
    dataset = source.encoded(wanted)
    assert dataset.element_spec == (
        tf.TensorSpec([], tf.int64),
        tf.TensorSpec([], tf.string),
    )
    assert [index for index, _ in dataset.as_numpy_iterator()] == wanted.tolist()
    shuffled = dict(source.encoded(wanted, 1).as_numpy_iterator())
    assert shuffled == {index: everything[index] for index in wanted}


def test_order_is_a_function_of_the_seed(make, source):
    def order(source, seed, first=0):
        dataset = source.encoded(np.arange(12), seed, first)
        return [index for index, _ in dataset.as_numpy_iterator()]

    once = order(source, 3)
    tf.random.set_seed(8)
    assert order(make(), 3) == once
    assert sorted(once) == list(range(12))
    assert order(source, 3, first=5) == once[5:]
    assert order(source, 4) != once


def test_fingerprint_stays(make, source):
    assert make().fingerprint == source.fingerprint
