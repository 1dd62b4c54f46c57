"""Background removal: the person stays, the rest goes, and nothing is lost in silence."""

import csv
import sys
import tarfile
import types

import cv2
import numpy as np
import pytest
from PIL import Image

from tfface.data.derived.background import (
    BackgroundOptions,
    fill_background,
    find_foreground,
    remove_background,
)
from tfface.data.sources.opening import open_source
from tfface.errors import InputError


def drawn_face(size: int = 112) -> tuple[np.ndarray, np.ndarray]:
    """A skin-colored ellipse before a bluish wall, with some noise: (image, where it is)."""
    noise = np.random.default_rng(0).normal(0, 6, (size, size, 3))
    rows, columns = (np.mgrid[0:size, 0:size] + 0.5) / size
    face = ((columns - 0.5) / 0.36) ** 2 + ((rows - 0.55) / 0.5) ** 2 < 1
    image = np.where(face[..., None], [200, 150, 120], [40, 60, 140]) + noise
    return np.clip(image, 0, 255).astype(np.uint8), face


@pytest.mark.parametrize("size", [112, 700])
def test_finds_a_drawn_face(size):
    image, face = drawn_face(size)
    found, reason = find_foreground(image)
    assert reason == ""
    assert found.shape == face.shape
    assert (found == face).mean() > 0.985


def test_a_margin_suits_smaller_faces():
    image, face = drawn_face(100)
    wall = np.full((200, 200, 3), [40, 60, 140], np.uint8)
    wall = wall + np.random.default_rng(1).integers(0, 12, wall.shape).astype(np.uint8)
    wall[50:150, 50:150] = image
    wanted = np.pad(face, 50)
    found, _ = find_foreground(wall, margin=0.25)
    assert (found == wanted).mean() > 0.98


def test_the_same_image_gives_the_same():
    image, _ = drawn_face()
    first, _ = find_foreground(image)
    cv2.setRNGSeed(7)
    second, _ = find_foreground(image)
    np.testing.assert_array_equal(first, second)


def test_one_part_without_holes():
    image, face = drawn_face()
    image[10:18, 4:12] = [200, 150, 120]  # elsewhere, of the same color
    image[60:66, 52:60] = [40, 60, 140]  # within the face
    found, _ = find_foreground(image)
    parts, _ = cv2.connectedComponents(found.astype(np.uint8))
    holes, _ = cv2.connectedComponents((~found).astype(np.uint8))
    assert parts == 2
    assert found[60:66, 52:60].all()
    assert holes == 2 or (found == face).mean() > 0.95


@pytest.mark.parametrize("value", [0, 128])
def test_nothing_is_found_in_a_flat_image(value):
    found, reason = find_foreground(np.full((40, 40, 3), value, np.uint8))
    assert found is None
    assert reason in ("no background found", "no person found")


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 1)])
def test_tiny_images_do_no_harm(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    found, reason = find_foreground(image)
    assert (found is None) == bool(reason)
    assert find_foreground(image, margin=0.45)[1]


def test_fills():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    mask = np.array([[True, False], [True, True]])
    for fill, value in (("black", 0), ("white", 255), ("grey", 128)):
        filled = fill_background(image, mask, fill)
        np.testing.assert_array_equal(filled[mask], image[mask])
        assert (filled[0, 1] == value).all()
    np.testing.assert_allclose(
        fill_background(image, mask, "mean")[0, 1], [4.5, 5.5, 6.5], atol=0.5
    )


@pytest.fixture
def faces(tmp_path):
    root = tmp_path / "faces"
    (root / "ann").mkdir(parents=True)
    Image.fromarray(drawn_face()[0]).save(root / "ann" / "0.png")
    Image.new("RGB", (40, 40), "grey").save(root / "ann" / "1.jpg")
    return root


def removed(faces, output, **options):
    return remove_background(open_source(str(faces)), output, BackgroundOptions(**options), 2)


def rows_of(output):
    with (output / "report.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_images_report_and_sheet(faces, tmp_path):
    output = tmp_path / "out"
    summary = removed(faces, output, fill="white", format="png")
    assert (summary.num_images, summary.num_kept) == (2, 1)
    first, second = rows_of(output)
    assert first["image"] == first["original"] == "ann/0.png"
    assert 0.4 < float(first["foreground"]) < 0.8
    assert first["reason"] == second["foreground"] == ""
    assert second["image"] == "ann/1.jpg"
    assert second["reason"]
    assert (output / "ann/1.jpg").read_bytes() == (faces / "ann/1.jpg").read_bytes()
    pixels = np.asarray(Image.open(output / "ann/0.png"))
    assert (pixels[0, 0] == 255).all()
    assert (pixels[60, 56] == drawn_face()[0][60, 56]).all()
    assert Image.open(output / "contact_sheet.png").width > 300
    # A folder of people like any other.
    assert open_source(str(output)).source.num_images == 2


def test_goes_on_where_it_was_stopped(faces, tmp_path):
    output = tmp_path / "out"
    removed(faces, output)
    expected = rows_of(output), (output / "ann/0.jpg").read_bytes()
    journal = output / ".made.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line for line in lines if b"ann/0" not in line))
    (output / "ann/0.jpg").unlink()
    (output / "report.csv").unlink()
    assert removed(faces, output).num_kept == 1
    assert (rows_of(output), (output / "ann/0.jpg").read_bytes()) == expected
    with pytest.raises(InputError, match=r"made with other options \(fill black, not grey\)"):
        removed(faces, output, fill="grey")


def test_rembg_is_asked_for_by_name(faces, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="rembg is not installed: pip install"):
        removed(faces, tmp_path / "out", method="rembg")


def test_rembg_gives_the_mask(faces, tmp_path, monkeypatch):
    """A stand-in for it: the package and its network are not part of the project."""
    rembg = types.ModuleType("rembg")
    rembg.new_session = lambda: "session"
    share = 0.5

    def remove(image, *, session, only_mask):
        assert (session, only_mask) == ("session", True)
        mask = np.zeros(image.shape[:2], np.uint8)
        mask[: int(share * len(mask))] = 255 if len(mask) > 50 else 0
        return mask

    rembg.remove = remove
    monkeypatch.setitem(sys.modules, "rembg", rembg)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: rembg)
    summary = removed(faces, tmp_path / "out", method="rembg")
    assert (summary.num_kept, summary.num_hardly) == (1, 0)
    first, second = rows_of(tmp_path / "out")
    assert float(first["foreground"]) == 0.5
    assert second["reason"] == "no person found"
    # Next to all is kept: nobody should take that for a removed background.
    share = 0.97
    summary = removed(faces, tmp_path / "again", method="rembg")
    assert (summary.num_kept, summary.num_hardly) == (1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fill": "red"}, "fill 'red': must be one of black, white, grey, mean"),
        ({"margin": 0.5}, r"margin 0\.5: must be from 0 to 0\.45"),
        ({"method": "magic"}, "method 'magic': must be one of grabcut, rembg"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        BackgroundOptions(**options)


def test_real_faces_keep_eyes_nose_and_mouth(test_data, tmp_path):
    """The template's landmarks are inside, with some of the face about them."""
    names = [f"Abdullah_Gul/Abdullah_Gul_{n:04d}.jpg" for n in (2, 7)]
    with tarfile.open(test_data / "data/lfw_aligned_112.tar") as tar:
        wanted = [member for member in tar.getmembers() if member.name.endswith(tuple(names))]
        assert wanted
        tar.extractall(tmp_path, wanted, filter="data")
    for path in tmp_path.rglob("*.jpg"):
        found, reason = find_foreground(np.asarray(Image.open(path).convert("RGB")))
        assert reason == ""
        assert 0.5 < found.mean() < 0.97
        for x, y in ((38, 52), (74, 52), (56, 72), (42, 92), (71, 92)):
            assert found[y - 5 : y + 6, x - 5 : x + 6].all()


@pytest.mark.parametrize("name", ["report.csv", "contact_sheet.png"])
def test_files_of_the_user_are_not_replaced_by_reports(faces, tmp_path, name):
    removed(faces, tmp_path / "out")
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(InputError, match=rf"{name}: is there already, and is not what this tool"):
        removed(faces, tmp_path / "out")
    assert (tmp_path / "out" / name).read_text() == "mine"


def test_a_person_called_like_the_report(faces, tmp_path):
    next(path for path in faces.iterdir() if path.is_dir()).rename(faces / "report.csv")
    with pytest.raises(InputError, match=r"images called report\.csv, or in a folder of that name"):
        removed(faces, tmp_path / "out")
