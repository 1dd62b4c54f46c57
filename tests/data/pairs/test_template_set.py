"""Template sets as InsightFace publishes them, and wrong ones."""

import numpy as np
import pytest
import tensorflow as tf

from tests.data.pairs.made_folder import lines_of, write_folder, write_lines
from tfface.data.pairs.template_set import load_template_set
from tfface.errors import InputError

ENTRIES, PAIRS, POINTS = (
    "ijbx_face_tid_mid.txt",
    "ijbx_template_pair_label.txt",
    "ijbx_name_5pts_score.txt",
)


def test_aligned_faces(tmp_path):
    loaded = load_template_set(write_folder(tmp_path / "IJBX"), "x")
    assert loaded.name == "x"
    assert [file.name for file in loaded.files[:3]] == ["1.jpg", "2.jpg", "3.jpg"]
    assert loaded.entry_image.tolist() == list(range(24))
    assert loaded.entry_template[:8].tolist() == [0, 0, 0, 1, 2, 2, 2, 3]
    assert loaded.entry_medium[:4].tolist() == [1, 2, 2, 1]
    assert loaded.template_numbers[:4].tolist() == [1, 2, 11, 12]
    assert loaded.first[:8].tolist() == [0, 0, 0, 0, 0, 0, 2, 2]
    assert loaded.second[:8].tolist() == [1, 3, 5, 7, 9, 11, 1, 3]
    assert loaded.is_genuine.tolist() == np.eye(6, dtype=bool).ravel().tolist()
    assert loaded.landmarks is loaded.scores is None
    assert loaded.faces(112, 96)[4] == (tmp_path / "IJBX/loose_crop/5.jpg").read_bytes()


def test_photos_are_aligned_by_their_points(tmp_path):
    photos = load_template_set(write_folder(tmp_path / "photos", photos=True), "x")
    assert photos.scores[:4] == pytest.approx([0.9, 0.92, 0.94, 0.96])
    assert photos.landmarks.shape == (24, 5, 2)
    aligned = load_template_set(write_folder(tmp_path / "aligned"), "x")
    for image in (0, 5):
        expected = tf.io.decode_jpeg(aligned.images()[image]).numpy().astype(int)
        face = tf.io.decode_bmp(photos.faces(112, 112)[image]).numpy().astype(int)
        assert face.shape == (112, 112, 3)
        # Where the squares are plain; their edges are a little softer.
        inside = (slice(10, None, 28), slice(10, None, 28))
        assert np.abs(face[inside] - expected[inside]).max() < 25
    narrow = tf.io.decode_bmp(photos.faces(112, 96)[0]).numpy()
    wide = tf.io.decode_bmp(photos.faces(112, 112)[0]).numpy()
    assert np.array_equal(narrow, wide[:, 8:-8])
    assert len(photos.faces(112, 112)) == 24


def test_an_image_in_several_templates_is_there_once(tmp_path):
    folder = write_folder(tmp_path / "x")
    write_lines(folder, ENTRIES, [*lines_of(folder, ENTRIES), "1.jpg 52 9"])
    loaded = load_template_set(folder, "x")
    assert len(loaded.files) == 24
    assert (loaded.entry_image[-1], loaded.entry_template[-1]) == (0, 11)


def test_large_numbers_of_templates(tmp_path):
    folder = write_folder(tmp_path / "x")
    for name in (ENTRIES, PAIRS):
        lines = [line.replace(" 1 ", " 900000000 ") for line in lines_of(folder, name)]
        write_lines(
            folder, name, [f"900000000{line[1:]}" if line[:2] == "1 " else line for line in lines]
        )
    loaded = load_template_set(folder, "x")
    assert loaded.template_numbers[-1] == 900_000_000
    assert loaded.first[0] == 11
    write_lines(folder, PAIRS, ["900000000 2 1", "900000000 12 0", "899999999 12 0"])
    with pytest.raises(InputError, match=r"label\.txt, line 3: template 899999999 has no images"):
        load_template_set(folder, "x")


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        (ENTRIES, "1.jpg 5", r"tid_mid\.txt, line 2: expected an image, .*; got '1\.jpg 5'"),
        (ENTRIES, "1.jpg 5 x", "line 2: expected an image, a template's number and a medium's"),
        (ENTRIES, "1.jpg 5 1234567890", "line 2: expected an image"),
        (ENTRIES, "99.jpg 1 1", r"1 of 24 images are missing under .*, the first is 99\.jpg"),
        (ENTRIES, "../x.jpg 1 1", r"tid_mid\.txt: '\.\./x\.jpg' is not below .*loose_crop"),
        (PAIRS, "1 2", r"label\.txt, line 2: expected the numbers of two templates, and 1 or 0"),
        (PAIRS, "1 2 2", "line 2: expected the numbers of two templates, and 1 or 0; got '1 2 2'"),
        (PAIRS, "1 2 -1", "line 2: expected the numbers of two templates"),
        (PAIRS, "1 77 0", r"line 2: template 77 has no images \(1 such lines\)"),
        (POINTS, "1.jpg 5", r"score\.txt, line 2: expected an image, ten coordinates and a score"),
        (POINTS, "1.jpg " + "nan " * 11, "line 2: expected an image, ten coordinates and a score"),
        (POINTS, "1.jpg 1 2 3 4 5 6 7 8 9 10 -1", "a score of 0 or more; got"),
        (POINTS, "1.jpg 1 2 3 4 5 6 7 8 9 10 1", r"line 2: 1\.jpg had its points in a line before"),
        (POINTS, "2.jpg" + " 7" * 10 + " 1", r"line 2: the points of 2\.jpg are all in one place"),
        (POINTS, "x.jpg 1 2 3 4 5 6 7 8 9 10 1", r"1 of 24 images have no points, the first is 2"),
    ],
)
def test_bad_lines(tmp_path, name, line, message):
    folder = write_folder(tmp_path / "x", photos=True)
    lines = lines_of(folder, name)
    lines[1] = line
    write_lines(folder, name, lines)
    with pytest.raises(InputError, match=message):
        load_template_set(folder, "x")


def test_missing_and_empty_files(tmp_path):
    folder = write_folder(tmp_path / "x")
    write_lines(folder, PAIRS, ["1 2 1", "1 2 1"])
    with pytest.raises(InputError, match=r"label\.txt: 2 genuine and 0 impostor pairs"):
        load_template_set(folder, "x")
    write_lines(folder, PAIRS, [])
    with pytest.raises(InputError, match=r"label\.txt: lists no pairs"):
        load_template_set(folder, "x")
    (folder / "meta" / PAIRS).unlink()
    with pytest.raises(InputError, match=r"ijbx_template_pair_label\.txt: can't be read: No such"):
        load_template_set(folder, "x")
    (folder / "loose_crop").rename(folder / "crops")
    with pytest.raises(InputError, match=r"loose_crop: no such folder; it should hold the images"):
        load_template_set(folder, "x")
    write_lines(folder, ENTRIES, [])
    with pytest.raises(InputError, match=r"tid_mid\.txt: lists no images"):
        load_template_set(folder, "x")


def test_other_folders(tmp_path):
    with pytest.raises(InputError, match="gone: no such folder; a template set is one with meta/"):
        load_template_set(tmp_path / "gone", "x")
    with pytest.raises(InputError, match="no template set: there is no meta/NAME_face_tid_mid"):
        load_template_set(tmp_path, "x")
    folder = write_folder(tmp_path / "IJBX")
    with pytest.raises(InputError, match="in it; give one of its folders: IJBX"):
        load_template_set(tmp_path, "x")
    write_lines(folder, "ijby_face_tid_mid.txt", [])
    with pytest.raises(InputError, match=r"holds several template sets \(ijbx_.*, ijby_.*\)"):
        load_template_set(folder, "x")


def test_an_image_that_is_damaged(tmp_path):
    folder = write_folder(tmp_path / "x", photos=True)
    (folder / "loose_crop/3.jpg").write_bytes(b"\xff\xd8 nothing")
    faces = load_template_set(folder, "x").faces(112, 112)
    with pytest.raises(InputError, match=r"3\.jpg: the image data are damaged or truncated"):
        faces[2]
    (folder / "loose_crop/3.jpg").unlink()
    with pytest.raises(InputError, match=r"3\.jpg: can't be read: No such file"):
        faces[2]
