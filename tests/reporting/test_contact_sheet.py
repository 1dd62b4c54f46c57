"""Contact sheets show every image at its position, for any size and name."""

import numpy as np
import pytest
from PIL import Image

from tfface.errors import InputError
from tfface.reporting.contact_sheet import (
    _font,
    _shortened,
    draw_contact_sheet,
    framed,
    side_by_side,
)

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def plain(color, height=112, width=112) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def read(path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def count(sheet: np.ndarray, color) -> int:
    return int((sheet == color).all(axis=-1).sum())


def test_every_image_is_at_its_position(tmp_path):
    path = tmp_path / "new folder" / "sheet.png"
    draw_contact_sheet(path, [plain(RED), plain(GREEN), plain(BLUE)], ["a", "b", "c"], columns=2)
    sheet = read(path)
    for color in (RED, GREEN, BLUE):
        assert count(sheet, color) == 112 * 112
    first = {c: np.argwhere((sheet == c).all(axis=-1)).min(axis=0) for c in (RED, GREEN, BLUE)}
    assert first[RED][0] == first[GREEN][0] < first[BLUE][0]
    assert first[RED][1] == first[BLUE][1] < first[GREEN][1]


@pytest.mark.parametrize("size", [(112, 96), (1, 1), (400, 100), (3, 1000)])
def test_images_of_any_size_fit_their_cell(tmp_path, size):
    draw_contact_sheet(tmp_path / "s.png", [plain(RED, *size)], ["name"], cell=50)
    found = np.argwhere((read(tmp_path / "s.png") == RED).all(axis=-1))
    height, width = found.max(axis=0) - found.min(axis=0) + 1
    assert max(height, width) == 50
    assert height == max(1, round(size[0] * 50 / max(size)))


def test_the_title_takes_space(tmp_path):
    draw_contact_sheet(tmp_path / "none.png", [plain(RED)], ["a"])
    draw_contact_sheet(tmp_path / "long.png", [plain(RED)], ["a"], title="many words " * 40)
    assert read(tmp_path / "long.png").shape[0] > read(tmp_path / "none.png").shape[0] + 50
    assert count(read(tmp_path / "long.png"), RED) == 112 * 112


def test_title_only(tmp_path):
    draw_contact_sheet(tmp_path / "s.png", [], [], title="no faces")
    assert read(tmp_path / "s.png").std() > 0


def test_captions_of_several_lines(tmp_path):
    draw_contact_sheet(tmp_path / "one.png", [plain(RED)], ["a"])
    draw_contact_sheet(tmp_path / "three.png", [plain(RED)], ["a\nb\nc"])
    assert read(tmp_path / "three.png").shape[0] > read(tmp_path / "one.png").shape[0]


@pytest.mark.parametrize("name", ["", "Zoë Ångström", "Ольга", "\udcff\x00.jpg", "x" * 500])
def test_any_name(tmp_path, name):
    draw_contact_sheet(tmp_path / "s.png", [plain(RED)], [name], title=name)
    assert count(read(tmp_path / "s.png"), RED) == 112 * 112


def test_long_names_keep_both_ends():
    short = _shortened("George_W_Bush/George_W_Bush_0001.jpg", _font(11), 112)
    assert short.startswith("George")
    assert short.endswith("0001.jpg")
    assert _font(11).getlength(short) <= 112


def test_wrong_arguments(tmp_path):
    with pytest.raises(ValueError, match="got 1 images, but 2 captions"):
        draw_contact_sheet(tmp_path / "s.png", [plain(RED)], ["a", "b"])
    with pytest.raises(
        ValueError, match=r"image of 'a' has type and shape float64 \[2, 2\]; expected uint8"
    ):
        draw_contact_sheet(tmp_path / "s.png", [np.zeros((2, 2))], ["a"])


def test_unwritable_path(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/s.png: can't be written"):
        draw_contact_sheet(tmp_path / "file" / "s.png", [plain(RED)], ["a"])


def test_side_by_side():
    joined = side_by_side([plain(RED, 10, 20), plain(GREEN, 300, 300)], cell=56)
    assert joined.shape == (56, 56 + 2 + 56, 3)
    # The one keeps its shape, the other fills its square.
    assert count(joined, RED) == 28 * 56
    assert count(joined, GREEN) == 56 * 56
    assert (joined[0, :58] == 255).all()


def test_frames():
    image = framed(plain(RED, 48, 24), "#0000FF")
    assert image.shape == (52, 28, 3)
    assert count(image, RED) == 48 * 24
    assert count(image, BLUE) == 52 * 28 - 48 * 24
