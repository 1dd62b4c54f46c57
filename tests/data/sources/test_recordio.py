"""InsightFace's and im2rec's record files as sources: labels, identities, contradictions."""

import concurrent.futures
import hashlib
import json
import os

import numpy as np
import pytest

from tests.data.recordio_writer import MAGIC, insightface_records, payload, write
from tests.data.small_faces import encoded
from tfface.data.sources import RECOGNIZED_BY
from tfface.data.sources.recordio import RecordIOSource, open_recordio
from tfface.errors import InputError

IMAGES = [[b"a0", b"a1"], [b"b0"], [b"c0" + MAGIC + b"!", b"c1", b"c2"]]


def insightface(folder, images=IMAGES, change=None, property="3,112,112"):
    """Writes a folder; `change` maps keys to other payloads (None: without that record)."""
    records = insightface_records(images) | (change or {})
    write(folder / "train.rec", {key: r for key, r in records.items() if r is not None})
    if property is not None:
        (folder / "property").write_text(property + "\n")
    return folder


def contents(source):
    return [source.read(index).encoded for index in range(source.num_images)]


class TestInsightFace:
    def test_layout(self, tmp_path):
        source = RecordIOSource(insightface(tmp_path / "faces"))
        assert source.identities == [("0", "faces"), ("1", "faces"), ("2", "faces")]
        assert source.labels.tolist() == [0, 0, 1, 2, 2, 2]
        assert source.labels.dtype == np.int32
        assert contents(source) == [image for images in IMAGES for image in images]
        assert source.filename(0) == source.read(0).filename == "train.rec/1"
        assert source.left_out == []

    def test_by_the_files_path_and_under_another_name(self, tmp_path):
        rec = insightface(tmp_path) / "train.rec"
        assert RecordIOSource(rec, name="ms1m").identities[1] == ("1", "ms1m")

    def test_labels_in_lists(self, tmp_path):
        listed = {key: payload([label, 1.0], b"x") for key, label in enumerate([0, 0, 1], start=1)}
        source = RecordIOSource(insightface(tmp_path, change=listed))
        assert source.labels.tolist() == [0, 0, 1, 2, 2, 2]
        assert contents(source)[:3] == [b"x"] * 3

    def test_without_an_index(self, tmp_path):
        with_index = RecordIOSource(insightface(tmp_path))
        (tmp_path / "train.idx").unlink()
        source = RecordIOSource(tmp_path)
        assert contents(source) == contents(with_index)
        assert source.identities == with_index.identities
        assert source.filename(5) == "train.rec/6"

    def test_without_property(self, tmp_path):
        assert RecordIOSource(insightface(tmp_path, property=None)).num_identities == 3

    def test_counts_beyond_float32_are_not_trusted(self, tmp_path):
        """Above 2**24 a count is a multiple of 2, 4, ...: no check can be made of it."""
        change = {
            0: payload([2**24, 2**24 + 4]),
            7: payload([2**24 + 2, 2**25]),
            8: payload([2**25, 2**25]),
        }
        source = RecordIOSource(insightface(tmp_path, change=change, property=None))
        assert source.labels.tolist() == [0, 0, 1, 2, 2, 2]

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({0: payload([6, 10])}, "record 0 says .* identities begin at record 6, which makes "),
            ({3: None}, "which makes 6 images, but the file has 5: the file or its index is inc"),
            ({8: payload([3, 5])}, r"record 8 says .* 3 to 4 are images of one .* labels differ"),
            ({8: payload([3, 40])}, "record 8 says .* from 3 up to, but not including, 40, but"),
            (
                {8: payload([4, 3])},
                "record 8 says .* 4 up to, but not including, 3, but these do not exist",
            ),
            ({8: payload([2.5, 3])}, "record 8 says .* these do not exist"),
            ({8: payload([float("nan"), 3])}, "record 8 says .* these do not exist"),
            ({8: None}, "records of identities count 5 images, but the file has 6"),
            ({8: payload([3, 3])}, "records of identities count 5 images, but the file has 6"),
            ({4: payload(2)}, "record 4 holds no image"),
            ({12: payload(2, b"x")}, "record 7 describes an identity, but the later record 12 is"),
        ],
    )
    def test_contradictions(self, tmp_path, change, why):
        with pytest.raises(InputError, match=rf"train\.rec: .*{why}"):
            RecordIOSource(insightface(tmp_path, change=change))

    def test_more_labels_than_the_property_says(self, tmp_path):
        with pytest.raises(
            InputError, match=r"property: declares 2 identities, 0 to 1, but .* label 2"
        ):
            RecordIOSource(insightface(tmp_path, property="2,112,112"))

    @pytest.mark.parametrize("content", ["", "12", "many,112,112", "-3,112,112", "9" * 5000])
    def test_a_strange_property(self, tmp_path, content):
        with pytest.raises(InputError, match="property: expected identities,height,width, got"):
            RecordIOSource(insightface(tmp_path, property=content))


class TestEmptyIdentities:
    @pytest.mark.parametrize("property", [None, "4,112,112"])
    def test_are_named(self, tmp_path, property):
        folder = insightface(tmp_path, [[b"a"], [], [b"b", b"c"], []], property=property)
        with pytest.raises(InputError, match=r"identities 1, 3 have no images \(2 of 4\)"):
            RecordIOSource(folder)
        source = RecordIOSource(folder, on_empty_identity="skip")
        assert [identity.name for identity in source.identities] == ["0", "2"]
        assert source.labels.tolist() == [0, 1, 1]
        assert source.left_out == [("declared without images", 2, 0)]

    def test_that_only_the_property_declares(self, tmp_path):
        folder = insightface(tmp_path, property="4,112,112")
        with pytest.raises(InputError, match=r"identity 3 has no images \(1 of 4\): .* skip"):
            RecordIOSource(folder)

    def test_that_are_very_many(self, tmp_path):
        folder = insightface(tmp_path, property="4000000000,112,112")
        with pytest.raises(InputError, match=r"identities 3, 4, 5, 6, 7, \.\.\. have no images"):
            RecordIOSource(folder)

    def test_that_are_not_empty(self, tmp_path):
        changed = {7: payload([1, 1]), 8: payload([1, 4])}
        labels = {key: payload(0, b"x") for key in (1, 2, 3)}
        folder = insightface(tmp_path, change=changed | labels, property=None)
        with pytest.raises(InputError, match=r"record 7 says that identity 0 has no images, but"):
            RecordIOSource(folder)


class TestIm2Rec:
    def test_labels_may_have_gaps(self, tmp_path):
        records = {0: payload(70, b"x"), 5: payload(3, b"y"), 4: payload(70, b"z")}
        source = RecordIOSource(write(tmp_path / "val.rec", records))
        assert [identity.name for identity in source.identities] == ["3", "70"]
        assert source.labels.tolist() == [1, 1, 0]
        assert contents(source) == [b"x", b"z", b"y"]
        assert [source.filename(i) for i in range(3)] == ["val.rec/0", "val.rec/4", "val.rec/5"]

    def test_a_shortened_index(self, tmp_path):
        """It would be a smaller set, and nobody would know."""
        records = {key: payload(key, b"x%d" % key + MAGIC) for key in range(6)}
        write(tmp_path / "a.rec", records)
        lines = (tmp_path / "a.idx").read_text().splitlines(keepends=True)
        for kept in (lines[:3], lines[3:], lines[1:2], lines[::2]):
            (tmp_path / "a.idx").write_text("".join(kept))
            with pytest.raises(
                InputError, match=rf"a\.idx: lists {len(kept)} records, but a\.rec holds 6: "
            ):
                RecordIOSource(tmp_path)
        (tmp_path / "a.idx").write_text("".join(lines[::-1]))
        assert RecordIOSource(tmp_path).num_images == 6
        # What is no record is nobody's.
        with (tmp_path / "a.rec").open("ab") as file:
            file.write(bytes(64))
        assert RecordIOSource(tmp_path).num_images == 6

    def test_an_index_of_zeros_and_none(self, tmp_path, capsys):
        write(tmp_path / "a.rec", {key: payload(key, b"x", key) for key in range(3)})
        assert RecordIOSource(tmp_path).num_images == 3
        assert not capsys.readouterr().err
        lines = (tmp_path / "a.idx").read_text().splitlines()
        zeros = "".join("0\t" + line.split("\t")[1] + "\n" for line in lines)
        (tmp_path / "a.idx").write_text(zeros)
        assert RecordIOSource(tmp_path).num_images == 3
        assert "a.idx: all its keys are 0, so it is not used" in capsys.readouterr().err
        (tmp_path / "a.idx").unlink()
        assert RecordIOSource(tmp_path).num_images == 3
        assert "a.rec: has no a.idx beside it: all of its records" in capsys.readouterr().err

    def test_labels_that_float32_does_not_tell_apart(self, tmp_path):
        write(tmp_path / "a.rec", {0: payload(2**24 - 1, b"x")})
        assert RecordIOSource(tmp_path).identities[0].name == "16777215"
        # Written as 16,777,217.
        write(tmp_path / "a.rec", {0: payload(2**24 + 1, b"x")})
        with pytest.raises(InputError, match="record 0 has the label 16777216: an identity is"):
            RecordIOSource(tmp_path)

    @pytest.mark.parametrize("part", ["", "_train"])
    def test_parts_are_one_set(self, tmp_path, part):
        people = [[5, 5, 9], [9, 2], [2, 5, 7]]
        for number, labels in enumerate(people):
            records = {
                10 * number + key: payload(label, b"x%d%d" % (number, key))
                for key, label in enumerate(labels)
            }
            write(tmp_path / f"faces_{number}{part}.REC", records)
        assert RECOGNIZED_BY["recordio"](tmp_path)
        source = open_recordio(tmp_path, name="faces")
        assert [identity.name for identity in source.identities] == ["2", "5", "7", "9"]
        assert source.labels.tolist() == [1, 1, 3, 3, 0, 0, 1, 2]
        assert contents(source)[3:6] == [b"x10", b"x11", b"x20"]
        assert source.filename(4) == f"faces_1{part}.REC/11"
        before = source.fingerprint
        os.utime(tmp_path / f"faces_1{part}.REC", ns=(1, 1))
        assert open_recordio(tmp_path).fingerprint != before
        (tmp_path / f"faces_1{part}.REC").unlink()
        with pytest.raises(InputError, match="but number 1 is missing"):
            open_recordio(tmp_path)

    def test_without_an_index_and_with_ids_all_alike(self, tmp_path):
        contents_ = {key: payload(key, b"%d" % key) for key in (4, 2)}
        source = RecordIOSource(write(tmp_path / "a.rec", contents_, index=False))
        assert contents(source) == [b"4", b"2"]
        assert source.filename(1) == "a.rec/1"

    @pytest.mark.parametrize(("entry", "labels"), [(0, [5, 6, 5]), (2, [1, 1, 0])])
    def test_which_label_of_a_list(self, tmp_path, entry, labels):
        lists = [[5, 0.5, 1], [6, 0.5, 1], [5, -3, 0]]
        rec = write(tmp_path / "a.rec", {i: payload(one, b"x") for i, one in enumerate(lists)})
        source = RecordIOSource(rec, label=entry)
        assert [int(source.identities[label].name) for label in source.labels] == labels
        with pytest.raises(
            InputError, match=r"record 0 has 3 labels, but the option 'label' asks for number 3"
        ):
            RecordIOSource(rec, label=3)

    def test_a_single_label_is_no_list(self, tmp_path):
        rec = write(tmp_path / "a.rec", {8: payload(1, b"x")})
        with pytest.raises(
            InputError, match=r"record 8 has 1 labels, but the option 'label' asks for number 1"
        ):
            RecordIOSource(rec, label=1)

    @pytest.mark.parametrize("label", [0.5, -1, 2.0**31, float("nan"), float("inf")])
    @pytest.mark.parametrize("listed", [False, True])
    def test_labels_that_are_no_identity(self, tmp_path, label, listed):
        records = {3: payload(0, b"x"), 7: payload([label, 0] if listed else label, b"x")}
        with pytest.raises(
            InputError, match=r"a\.rec: record 7 has the label .*: an identity is a"
        ):
            RecordIOSource(write(tmp_path / "a.rec", records))

    def test_a_record_without_image(self, tmp_path):
        records = {0: payload(0, b"x"), 3: payload(0)}
        with pytest.raises(InputError, match=r"a\.rec: record 3 holds no image"):
            RecordIOSource(write(tmp_path / "a.rec", records))

    def test_no_images(self, tmp_path):
        with pytest.raises(InputError, match=r"a\.rec: holds no images"):
            RecordIOSource(write(tmp_path / "a.rec", {0: payload([1, 1])}))


def test_which_file_of_a_folder(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        RecordIOSource(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no train\.rec: give the path of a \.rec file$"):
        RecordIOSource(tmp_path)
    write(tmp_path / "b.rec", {0: payload(0, b"x")})
    assert contents(RecordIOSource(tmp_path)) == [b"x"]
    write(tmp_path / "a.rec", {0: payload(0, b"x")})
    with pytest.raises(InputError, match=r"give the path of a \.rec file of a\.rec, b\.rec"):
        RecordIOSource(tmp_path)


def test_is_recognized(tmp_path):
    write(tmp_path / "faces/train.rec", {0: payload(0, b"x")})
    for path in (tmp_path / "faces", tmp_path / "faces/train.rec"):
        assert next(name for name, fits in RECOGNIZED_BY.items() if fits(path)) == "recordio"


def test_threads_read_at_once(tmp_path):
    images = [bytes([i]) * (i + 1) + MAGIC * (i % 3) for i in range(250)]
    rec = write(tmp_path / "a.rec", {i: payload(0, image) for i, image in enumerate(images)})
    source = RecordIOSource(rec)
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda i: source.read(i).encoded, [*range(250)] * 4)
        assert list(found) == images * 4


def test_fingerprint_follows_files_and_options(tmp_path):
    folder = insightface(tmp_path)
    before = RecordIOSource(folder).fingerprint
    assert RecordIOSource(folder, on_empty_identity="skip").fingerprint != before
    for name in ("train.rec", "train.idx", "property"):
        os.utime(folder / name, ns=(1, 1))
        after = RecordIOSource(folder).fingerprint
        assert after != before
        before = after


def test_images_stream(tmp_path):
    images = [encoded(seed) for seed in range(150)]
    records = {i: payload(i % 7, image) for i, image in enumerate(images)}
    source = RecordIOSource(write(tmp_path / "a.rec", records))
    for index, image in source.encoded(np.arange(150), 3).as_numpy_iterator():
        assert image == images[index]


def test_reference_files(test_data):
    fixtures = test_data / "fixtures"
    expected = json.loads((fixtures / "expected.json").read_text())["faces_rec"]
    faces, flat = (RecordIOSource(fixtures / name) for name in ("faces_rec", "flat_rec"))
    assert faces.num_images == expected["num_images"]
    assert np.bincount(faces.labels).tolist() == expected["images_per_identity"]
    digest = hashlib.sha256(b"".join(contents(faces))).hexdigest()
    assert digest == expected["sha256_of_all_jpegs_in_key_order"]
    assert contents(flat) == contents(faces)
    np.testing.assert_array_equal(flat.labels, faces.labels)
    assert flat.identities[11] == ("11", "flat_rec")
