"""All that is wrong with a dataset is found and told, and what is in it is counted."""

import dataclasses
import json
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.data.broken_datasets import (
    edit_identities,
    edit_json,
    flip,
    make_dataset,
    payload,
    replace_shard,
    shard,
)
from tests.data.small_faces import encoded, write_folder
from tfface.data.records import labels_file, shard_check
from tfface.data.records.conversion import convert
from tfface.data.records.inspection import inspect_dataset, statistics
from tfface.data.sources.tfrecord import DatasetSource
from tfface.errors import InputError
from tfface.images.pillow_decoder import FORMATS


@pytest.fixture
def dataset(tmp_path):
    return make_dataset(tmp_path)


def problems(folder, **options) -> list[str]:
    """Without the folder's name in front."""
    return [line.replace(f"{folder}/", "") for line in inspect_dataset(folder, **options).problems]


def test_all_is_right(dataset):
    inspection = inspect_dataset(dataset)
    assert inspection.problems == []
    source = DatasetSource(dataset)
    np.testing.assert_array_equal(inspection.labels, source.labels)
    assert inspection.images_per_identity.tolist() == [3, 9, 1, 7]
    for index in range(20):
        record, label = inspection.files.read(index)
        assert record == source.read(index)
        assert label == inspection.labels[index]
        assert len(record.encoded) == inspection.num_bytes[index]


def test_only_reads(dataset):
    before = {file: file.stat().st_mtime_ns for file in dataset.iterdir()}
    inspect_dataset(dataset)
    assert {file: file.stat().st_mtime_ns for file in dataset.iterdir()} == before


@pytest.mark.parametrize("block", [1, 7, 1000, 10**6])
def test_records_on_the_edges_of_blocks(dataset, monkeypatch, block):
    whole = inspect_dataset(dataset)
    monkeypatch.setattr(shard_check, "_BLOCK", block)
    cut = inspect_dataset(dataset)
    assert cut.problems == []
    np.testing.assert_array_equal(cut.labels, whole.labels)
    np.testing.assert_array_equal(cut.digests, whole.digests)


class TestProblems:
    def test_a_flipped_byte_in_an_image(self, dataset):
        flip(shard(dataset, 1), 100)
        found = problems(dataset)
        assert found[0] == (
            "data-00001-of-00003.tfrecord: record 0 (at byte 0): its checksum is wrong"
        )
        assert re.fullmatch(
            r"data-00001-of-00003\.tfrecord: its SHA-256 is [0-9a-f]{64}, but dataset\.json says "
            "[0-9a-f]{64}",
            found[1],
        )
        # Nobody knows any more whose image it was, but one is missing.
        assert len(found) == 3
        assert re.fullmatch(
            r"identities\.csv: .+ of faces \(label \d\) has \d images, but the files hold \d",
            found[2],
        )
        # The records behind it are read all the same.
        inspection = inspect_dataset(dataset)
        assert np.count_nonzero(inspection.labels < 0) == 1
        assert inspection.files.read(19)[0].filename

    def test_a_flipped_byte_in_a_length(self, dataset):
        flip(shard(dataset, 0), 0)
        found = problems(dataset)
        assert "record 0 (at byte 0): the checksum of its length is wrong, so neither" in found[0]
        assert found[1].endswith("0 records, but dataset.json says 7")
        assert "its SHA-256 is" in found[2]
        assert len(found) > 3

    def test_a_flipped_byte_in_a_checksum(self, dataset):
        size = shard(dataset, 2).stat().st_size
        flip(shard(dataset, 2), size - 1)
        assert "record 5 (at byte " in problems(dataset)[0]

    def test_a_missing_shard(self, dataset):
        shard(dataset, 1).unlink()
        found = problems(dataset)
        assert found[0] == "data-00001-of-00003.tfrecord: missing, though dataset.json lists it"
        missing = [re.fullmatch(r".* has (\d) images, .* hold (\d)", line) for line in found[1:]]
        assert sum(int(line[1]) - int(line[2]) for line in missing) == 7

    def test_no_shard_at_all(self, dataset):
        for number in (2, 1, 0):
            shard(dataset, number).unlink()
        assert len(problems(dataset)) == 3 + 4
        assert statistics(inspect_dataset(dataset))["num_images"] == 0

    @pytest.mark.parametrize("left", [0, 5, 40, -1])
    def test_a_shard_cut_short(self, dataset, left):
        file = shard(dataset, 0)
        file.write_bytes(file.read_bytes()[:left])
        found = problems(dataset)
        assert re.search(r"00000-of-00003\.tfrecord: \d+ bytes, but dataset\.json says", found[0])
        assert any("the file ends inside it" in line for line in found) == (left != 0)
        assert any("records, but dataset.json says 7" in line for line in found)
        assert any("its SHA-256 is" in line for line in found)

    def test_one_record_too_many(self, dataset):
        with shard(dataset, 0).open("ab") as file:
            file.write(shard(dataset, 1).read_bytes())
        found = problems(dataset)
        assert any(line.endswith("14 records, but dataset.json says 7") for line in found)

    def test_a_wrong_count(self, dataset):
        edit_identities(dataset, "bob,faces,9", "bob,faces,8")
        edit_identities(dataset, "cleo,faces,1", "cleo,faces,2")
        assert problems(dataset) == [
            "identities.csv: bob of faces (label 1) has 8 images, but the files hold 9",
            "identities.csv: cleo of faces (label 2) has 2 images, but the files hold 1",
        ]

    def test_wrong_labels(self, dataset):
        payloads = [payload(encoded(i), f"{i}.jpg", label) for i, label in enumerate([0, 4, 4, -2])]
        replace_shard(dataset, 0, payloads)
        found = problems(dataset)
        assert (
            "data-00000-of-00003.tfrecord: label 4 of 2 records (the first is record 1), but the "
            "labels listed are 0..3"
        ) in found
        assert any("label -2 of 1 records (the first is record 3)" in line for line in found)

    def test_labels_that_are_not_those_of_the_records(self, dataset):
        labels = np.fromfile(dataset / "labels.int32", "<i4")
        first, other = np.flatnonzero(labels == 0)[0], np.flatnonzero(labels == 1)[0]
        labels[[first, other]] = 1, 0
        edit_json(dataset, labels=dataclasses.asdict(labels_file.write(dataset, labels)))
        at = min(first, other)
        said, found = labels[at], 1 - labels[at]
        assert problems(dataset) == [
            f"labels.int32: 2 labels are not those of the records: that of image {at} is {said}, "
            f"but its record says {found}"
        ]
        flip(dataset / "labels.int32", 0)
        [line] = problems(dataset)
        assert line.startswith("labels.int32: its SHA-256 is ")

    def test_records_that_are_no_faces(self, dataset):
        other = tf.train.Example().SerializeToString()
        image = payload(b"no image", "x/1.jpg", 0)
        replace_shard(dataset, 0, [b"\xff\xff", other, image])
        found = problems(dataset)
        for number in (0, 1):
            start = f"data-00000-of-00003.tfrecord: record {number}: not a face record"
            assert any(line.startswith(start) for line in found)
        assert (
            "data-00000-of-00003.tfrecord: record 2 (x/1.jpg): not an image that can be read "
            f"({FORMATS})"
        ) in found

    def test_a_wrong_image_size(self, dataset):
        edit_json(dataset, image_size=[16, 20])
        assert problems(dataset) == [
            "dataset.json: image_size is [16, 20], but there are images of 16 x 16"
        ]

    def test_all_are_listed_whatever_the_number_of_workers(self, dataset):
        flip(shard(dataset, 0), 100)
        flip(shard(dataset, 2), 50)
        shard(dataset, 1).unlink()
        edit_json(dataset, num_images=21)
        found = problems(dataset, num_workers=1)
        assert len(found) >= 8
        assert problems(dataset, num_workers=4) == found

    def test_a_folder_that_cannot_be_judged(self, dataset):
        (dataset / "dataset.json").write_text("{")
        with pytest.raises(InputError, match=r"dataset\.json: can't be read"):
            inspect_dataset(dataset)
        with pytest.raises(InputError, match="not a converted dataset"):
            inspect_dataset(dataset.parent / "faces")


class TestStatistics:
    def test_counts(self, dataset):
        figures = statistics(inspect_dataset(dataset))
        assert json.loads(json.dumps(figures)) == figures
        assert figures["num_images"] == 20
        assert figures["num_identities"] == 4
        assert figures["sources"] == [{"name": "faces", "num_images": 20, "num_identities": 4}]
        of_identities = figures["images_per_identity"]
        assert of_identities["fewer_than"] == {"2": 1, "5": 2, "10": 4, "20": 4}
        assert (of_identities["min"], of_identities["max"]) == (1, 9)
        assert (of_identities["median"], of_identities["mean"]) == (5, 5)
        assert figures["image_sizes"] == [{"height": 16, "width": 16, "num_images": 20}]
        assert figures["formats"] == {"JPEG": 20}
        assert figures["attributes"] == {}

    def test_sources_sizes_and_formats(self, dataset, tmp_path):
        more = write_folder(tmp_path / "more", {"ann": 2}, size=24)
        (more / "ann" / "2.png").write_bytes(encoded(3, 20, "PNG"))
        convert([f"a={dataset}", f"b={more}"], tmp_path / "both")
        inspection = inspect_dataset(tmp_path / "both")
        assert inspection.problems == []
        figures = statistics(inspection)
        assert figures["sources"] == [
            {"name": "a", "num_images": 20, "num_identities": 4},
            {"name": "b", "num_images": 3, "num_identities": 1},
        ]
        assert [(size["height"], size["num_images"]) for size in figures["image_sizes"]] == [
            *((16, 20), (24, 2), (20, 1))
        ]
        assert figures["formats"] == {"JPEG": 22, "PNG": 1}

    def test_attributes(self, dataset, monkeypatch):
        payloads = [payload(encoded(i), f"{i}.jpg", 0, light=f"L{i % 2}") for i in range(5)]
        payloads.append(payload(encoded(9), "9.jpg", 0))
        replace_shard(dataset, 0, payloads)
        replace_shard(dataset, 1, [payload(encoded(8), "8.jpg", 0, light="L1", text="x")])
        figures = statistics(inspect_dataset(dataset))
        assert figures["attributes"] == {"light": {"L0": 3, "L1": 3}, "text": {"x": 1}}
        for module in ("shard_check", "inspection"):
            monkeypatch.setattr(f"tfface.data.records.{module}.MOST_VALUES", 1)
        figures = statistics(inspect_dataset(dataset))
        assert figures["attributes"] == {"light": None, "text": {"x": 1}}
