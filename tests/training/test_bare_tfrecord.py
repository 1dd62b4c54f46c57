"""Training directly from a file that arcface-tf2 wrote, with the images in it or beside it."""

import csv

import numpy as np
import pytest

from tests.data.small_faces import encoded, write_folder
from tests.data.sources.test_tfrecord import path_record, write
from tests.training.recipes import load_tiny
from tfface.data.records import example
from tfface.data.records.conversion import convert
from tfface.data.records.example import Record
from tfface.data.sources.tfrecord import DatasetSource
from tfface.reporting.metrics_log import epoch_records, read_metrics
from tfface.training.datasets import load_data
from tfface.training.run import train


@pytest.mark.parametrize("form", [pytest.param("images", marks=pytest.mark.slow), "paths"])
def test_one_step(tmp_path, form):
    labels = [3, 3, 8, 8]
    write_folder(tmp_path / "data/imgs", {"ann": 2, "bob": 2}, size=32)
    names = ["imgs/ann/0.jpg", "imgs/ann/1.jpg", "imgs/bob/0.jpg", "imgs/bob/1.jpg"]
    contents = {
        "images": [
            example.serialize(Record(encoded(i, 32), names[i]), labels[i]) for i in range(4)
        ],
        "paths": [path_record(names[i], labels[i]) for i in range(4)],
    }[form]
    write(tmp_path / "data/faces.tfrecord", contents)

    overrides = [
        "data.train={source: tfrecord, path: faces.tfrecord}",
        "data.validation=none",
        "data.batch_size=4",
        "data.cache=none",
        "training.stages=[{name: all, epochs: 1, optimizer: adam}]",
    ]
    run = train(load_tiny(tmp_path, *overrides), tmp_path / "run", tmp_path / "data").path
    [record] = epoch_records(read_metrics(run / "metrics.jsonl"))
    assert record["step"] == 1
    assert np.isfinite(record["loss"])
    with (run / "identities.csv").open(encoding="utf-8") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["3", "8"]

    convert([str(tmp_path / "data/faces.tfrecord")], tmp_path / "converted")
    converted = DatasetSource(tmp_path / "converted")
    found = {converted.filename(i): converted.read(i).encoded for i in range(4)}
    assert found == {names[i]: encoded(i, 32) for i in range(4)}


def test_validation_on_a_folder_that_has_the_people_in_another_order(tmp_path):
    """Records number people, and folders sort their names as text: 10 before 2."""
    write_folder(tmp_path / "validation", {"2": 1, "10": 2}, size=32)
    faces = [
        example.serialize(Record(encoded(i, 32), f"{i}.jpg"), (2, 10)[i % 2]) for i in range(6)
    ]
    write(tmp_path / "faces.tfrecord", faces)
    overrides = [
        "data.train={source: tfrecord, path: faces.tfrecord}",
        "data.validation={source: folder, path: validation}",
        "data.batch_size=2",
        "data.cache=none",
    ]
    data = load_data(load_tiny(tmp_path, *overrides), tmp_path, cache_dir=tmp_path)
    assert data.identities == ["2", "10"]
    labels = np.concatenate([labels for _, labels in data.validation.epoch(0)])
    assert labels.tolist() == [1, 1, 0]
