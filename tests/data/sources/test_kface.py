"""K-Face's folders: what is an image, its attributes, and cutting out the face."""

import numpy as np
import pytest
import tensorflow as tf

from tests.data.small_faces import encoded, write_folder
from tfface.data.records.example import attribute_value
from tfface.data.sources import RECOGNIZED_BY
from tfface.data.sources.kface import KFaceSource
from tfface.errors import InputError
from tfface.images.decoding import decode_unresized

POINTS = "1\t1\n" * 7
NAMES = ["190/S001/L2/E01/C2.jpg", "190/S001/L10/E01/C1.JPG", "190/S001/L2/E01/C10.png"]
# More that every file may hold: other boxes, a blank line.
TEXT = POINTS + "4 3\t8 6\r\n1 1 2 2\n\n"


def write(root, *names, text: str | None = TEXT):
    for seed, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(seed, format="PNG"))
        if text is not None:
            path.with_suffix(".txt").write_text(text)
    return root


def filenames(source):
    return [source.filename(index) for index in range(source.num_images)]


def test_order_and_attributes(tmp_path):
    source = KFaceSource(write(tmp_path, *NAMES, "09/S001/L1/E03/C1.jpg"), name="kface")
    assert source.identities == [("09", "kface"), ("190", "kface")]
    assert source.labels.tolist() == [0, 1, 1, 1]
    # C2 before C10, L2 before L10.
    assert filenames(source) == ["09/S001/L1/E03/C1.jpg", NAMES[0], NAMES[2], NAMES[1]]
    assert source.attribute_names == ("accessory", "light", "expression", "pose")
    assert source.attribute("accessory").tolist() == ["S001"] * 4
    assert source.attribute("light").tolist() == ["L1", "L2", "L2", "L10"]
    assert source.attribute("expression").tolist() == ["E03", "E01", "E01", "E01"]
    assert source.attribute("pose").tolist() == ["C1", "C2", "C10", "C1"]
    assert attribute_value(source.read(2), "pose") == "C10"
    assert source.read(1).encoded == encoded(0, format="PNG")


def test_texts_and_hidden_files_are_passed_over(tmp_path):
    write(tmp_path, *NAMES)
    for name in ("readme.txt", ".DS_Store", "190/.x/y.jpg", "190/S001/L2/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert KFaceSource(tmp_path).num_images == 3


class TestResolutions:
    def test_the_only_one(self, tmp_path):
        write(tmp_path / "Low_Resolution", *NAMES)
        assert filenames(KFaceSource(tmp_path))[0] == NAMES[0]
        assert filenames(KFaceSource(tmp_path, resolution="low"))[0] == NAMES[0]
        with pytest.raises(InputError, match="has no folder of high resolution, but of: low"):
            KFaceSource(tmp_path, resolution="high")

    def test_one_of_several(self, tmp_path):
        for number, name in enumerate(["High", "Middle", "Low"]):
            write(tmp_path / name, *NAMES[: number + 1])
        assert KFaceSource(tmp_path).num_images == 1
        for number, resolution in enumerate(["high", "middle", "low"]):
            assert KFaceSource(tmp_path, resolution=resolution).num_images == number + 1

    def test_none(self, tmp_path):
        write(tmp_path, *NAMES)
        with pytest.raises(InputError, match=r"has no folder of low resolution$"):
            KFaceSource(tmp_path, resolution="low")

    def test_two_of_one(self, tmp_path):
        write(tmp_path, f"High/{NAMES[0]}", f"High_Resolution/{NAMES[0]}")
        with pytest.raises(InputError, match="has two folders of high resolution"):
            KFaceSource(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        *("190/x.jpg", "190/S001/C1.jpg", "190/S1/L1/E01/C1.jpg", "190/S001/L1/E1/C1.jpg"),
        *("190/S001/L1/E01/x.jpg", "190/S001/L1/E01/C1.mp4", "190/S001/L1/E01/C1.jpg/C1.jpg"),
    ],
)
def test_files_that_do_not_fit(tmp_path, name):
    write(tmp_path, "190/S001/L3/E01/C1.jpg", name, text=None)
    with pytest.raises(InputError, match=r"doesn't fit into K-Face: .*like SUBJECT/S001/L1/E01/C1"):
        KFaceSource(tmp_path)


def test_no_subjects(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        KFaceSource(tmp_path / "nowhere")
    with pytest.raises(InputError, match="one folder per subject is expected"):
        KFaceSource(tmp_path)
    (tmp_path / "C1.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"C1\.jpg: is no folder of a subject"):
        KFaceSource(tmp_path)
    (tmp_path / "C1.jpg").unlink()
    (tmp_path / "190/S001/L1").mkdir(parents=True)
    with pytest.raises(InputError, match="190: an identity without any image"):
        KFaceSource(tmp_path)


class TestCrop:
    def test_is_the_faces_box(self, tmp_path):
        source = KFaceSource(write(tmp_path, *NAMES), crop="box")
        whole = decode_unresized(encoded(0, format="PNG")).numpy()
        found = decode_unresized(source.read(0).encoded).numpy()
        np.testing.assert_array_equal(found, whole[3:9, 4:12])
        assert source.read(0).filename == NAMES[0]
        for index, image in source.encoded(np.arange(3), 5).as_numpy_iterator():
            assert image == source.read(index).encoded

    @pytest.mark.parametrize(
        ("box", "rows", "columns"),
        [
            ("-3,-2;9, 9", slice(0, 7), slice(0, 6)),
            ("10 12 90 90", slice(12, 16), slice(10, 16)),
        ],
    )
    def test_as_far_as_it_is_inside(self, tmp_path, box, rows, columns):
        source = KFaceSource(write(tmp_path, *NAMES, text=f"{POINTS}{box}"), crop="box")
        whole = decode_unresized(encoded(0, format="PNG")).numpy()
        found = decode_unresized(source.read(0).encoded).numpy()
        np.testing.assert_array_equal(found, whole[rows, columns])

    @pytest.mark.parametrize(
        "text",
        [
            *("", "1 2\n" * 8, POINTS, "\n" + TEXT, POINTS + "1 2 3\n", POINTS + "1 2 a 4\n"),
            *(POINTS + "1 1 0 5\n", POINTS + "1 1 5 -5\n", POINTS + "1 1 9999999 5\n", "1 2 3 4\n"),
            *(TEXT.encode("utf-16").decode("latin-1"), "\0" * 9999),
        ],
    )
    def test_text_files_of_other_kinds(self, tmp_path, text):
        source = KFaceSource(write(tmp_path, *NAMES, text=text), crop="box")
        with pytest.raises(InputError, match=r"L2/E01/C2\.txt: expected 7 lines with x and y of"):
            source.read(0)

    def test_boxes_outside(self, tmp_path):
        text = POINTS + "16 1 3 3\n"
        source = KFaceSource(write(tmp_path, *NAMES, text=text), crop="box")
        with pytest.raises(InputError, match=r"C2\.txt: .* \(16, 1, 3, 3\) .*, 16 x 16 pixels"):
            source.read(0)

    def test_damaged_images(self, tmp_path):
        source = KFaceSource(write(tmp_path, *NAMES), crop="box")
        (tmp_path / NAMES[0]).write_bytes(b"no image")
        with pytest.raises(InputError, match=r"C2\.jpg: not an image that can be read"):
            source.read(0)

    def test_images_without_a_box(self, tmp_path):
        write(tmp_path, *NAMES)
        write(tmp_path, "190/S002/L1/E01/C1.jpg", "200/S002/L1/E01/C1.jpg", text=None)
        with pytest.raises(InputError, match=r"190/S002/L1/E01/C1\.jpg: .* as 2 images haven't"):
            KFaceSource(tmp_path, crop="box")
        source = KFaceSource(tmp_path, crop="box", on_missing_box="skip")
        assert source.num_images == 3
        assert [identity.name for identity in source.identities] == ["190"]
        assert source.left_out == [("no text file with a box", 1, 2)]
        assert KFaceSource(tmp_path).left_out == []

    def test_no_boxes_at_all(self, tmp_path):
        write(tmp_path, *NAMES, text=None)
        with pytest.raises(InputError, match="no image has a text file with a box beside it"):
            KFaceSource(tmp_path, crop="box", on_missing_box="skip")

    def test_fingerprint_follows_the_boxes(self, tmp_path):
        write(tmp_path, *NAMES)
        before = [KFaceSource(tmp_path, crop=crop).fingerprint for crop in ("none", "box")]
        (tmp_path / NAMES[1]).with_suffix(".txt").write_text(POINTS + "1 1 1 11\n")
        after = [KFaceSource(tmp_path, crop=crop).fingerprint for crop in ("none", "box")]
        assert before[0] == after[0]
        assert len({*before, *after}) == 3


def test_is_recognized(tmp_path):
    def format_of(path):
        return next(name for name, fits in RECOGNIZED_BY.items() if fits(path))

    write(tmp_path / "above/High", *NAMES)
    assert format_of(tmp_path / "above") == format_of(tmp_path / "above/High") == "kface"
    write_folder(tmp_path / "faces", {"ann": 1})
    assert format_of(tmp_path / "faces") == "folder"
    write(tmp_path / "photos", "ann/S001/x/y/C1.jpg", text=None)
    assert format_of(tmp_path / "photos") == "folder"


def test_reference_files(test_data):
    folder = test_data / "fixtures" / "kface_shaped"
    source = KFaceSource(folder)
    assert (source.num_identities, source.num_images) == (6, 36)
    assert set(source.attribute("accessory")) == {"S001", "S002"}
    assert filenames(KFaceSource(folder / "High")) == filenames(source)
    for _, image in source.encoded(np.arange(36)).as_numpy_iterator():
        assert decode_unresized(tf.constant(image)).shape[2] == 3
