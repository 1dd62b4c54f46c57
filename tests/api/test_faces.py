"""`align`: faces of photos of every kind."""

import io

import numpy as np
import pytest
from PIL import Image

import tfface
from tests.alignment.dots import find_dots
from tests.api.dot_photos import group_photo, landscape, photo_of
from tfface.alignment.photo_faces import open_photo
from tfface.alignment.template import template_points

pytestmark = pytest.mark.usefixtures("dot_detector")


def test_a_face_is_brought_to_the_template():
    [face] = tfface.align(photo_of("Anna"))
    assert (face.image.shape, face.image.dtype) == ((112, 112, 3), np.uint8)
    np.testing.assert_allclose(find_dots(face.image), template_points(112, 112), atol=0.7)
    left, top, right, bottom = face.box
    assert left < face.landmarks[:, 0].min() < face.landmarks[:, 0].max() < right
    assert top < face.landmarks[:, 1].min() < face.landmarks[:, 1].max() < bottom
    assert face.confidence == 1
    assert repr(face).startswith("AlignedFace(112x112 pixels, box=(")
    assert face._repr_png_().startswith(b"\x89PNG")


def test_an_aligned_face_stays_as_it_is():
    [face] = tfface.align(photo_of("Anna"))
    [again] = tfface.align(face.image)
    np.testing.assert_array_equal(again.image, face.image)


def test_a_photo_that_a_face_fills_is_aligned():
    """Its points lie 7 pixels from the template: nearer than those of most photos."""
    [face] = tfface.align(photo_of("Anna"))
    photo = np.roll(face.image, (5, 5), axis=(0, 1))
    [aligned] = tfface.align(photo)
    np.testing.assert_allclose(find_dots(aligned.image), template_points(112, 112), atol=0.7)


def test_size_of_faces():
    [face] = tfface.align(photo_of("Anna"), image_size=(112, 96))
    assert face.image.shape == (112, 96, 3)


def test_a_photo_of_any_kind(tmp_path):
    photo = photo_of("Ben")
    photo.save(tmp_path / "ben.png")
    encoded = io.BytesIO()
    photo.save(encoded, "PNG")
    kinds = [str(tmp_path / "ben.png"), tmp_path / "ben.png", encoded.getvalue(), photo]
    kinds.append(np.asarray(photo))
    images = [tfface.align(kind)[0].image for kind in kinds]
    for image in images[1:]:
        np.testing.assert_array_equal(image, images[0])


def test_all_faces_of_a_photo():
    faces = tfface.align(group_photo("Anna", "Ben", "Cleo"))
    # The one in the middle is nearest to the center.
    assert len(faces) == 3
    assert 400 < faces[0].box[0] < 800


def test_a_photo_without_a_face():
    assert tfface.align(landscape()) == []


def test_small_faces_are_omitted():
    assert tfface.align(photo_of("Anna"), min_size=300) == []


def test_what_is_no_photo(tmp_path):
    (tmp_path / "notes.txt").write_text("no photo")
    with pytest.raises(tfface.InputError, match=r"notes\.txt: not an image"):
        tfface.align(tmp_path / "notes.txt")
    with pytest.raises(tfface.InputError, match=r"gone\.jpg: no such photo"):
        tfface.align(tmp_path / "gone.jpg")
    with pytest.raises(tfface.InputError, match="is a folder; give one photo"):
        tfface.align(tmp_path)
    with pytest.raises(tfface.InputError, match="the photo: not an image"):
        tfface.align(b"no photo")
    with pytest.raises(tfface.InputError, match=r"uint8 \[height, width, 3\].*float64 \[4, 4\]"):
        tfface.align(np.zeros((4, 4)))
    with pytest.raises(tfface.InputError, match="an image of Pillow; got NoneType"):
        tfface.align(None)
    with pytest.raises(tfface.InputError, match=r"min_confidence must be from 0\.5 to 1, got 2"):
        tfface.align(landscape(), min_confidence=2)


def test_images_of_pillow_are_read_as_their_files_are(tmp_path):
    photo = photo_of("Anna")
    kinds = {"turned.jpg": photo, "deep.png": _with_16_bits(photo), "clear.png": _cut_out(photo)}
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, image in kinds.items():
        image.save(tmp_path / name, **({"exif": exif} if name == "turned.jpg" else {}))
        of_file = open_photo(tmp_path / name)
        with Image.open(tmp_path / name) as opened:
            mode = opened.mode
            np.testing.assert_array_equal(open_photo(opened), of_file)
            assert opened.mode == mode
    assert open_photo(tmp_path / "turned.jpg").size == photo.size[::-1]


def _with_16_bits(photo):
    return Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 256)


def _cut_out(photo):
    clear = photo.convert("RGBA")
    clear.putalpha(Image.new("L", photo.size, 100))
    return clear


def test_images_of_pillow_that_are_no_photos(tmp_path):
    photo_of("Anna").save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:400])
    with pytest.raises(tfface.InputError, match=r"the photo: an image of 0 x 3 pixels"):
        tfface.align(Image.new("RGB", (0, 3)))
    with pytest.raises(tfface.InputError, match="floating-point numbers"):
        tfface.align(Image.new("F", (9, 9)))
    with pytest.raises(tfface.InputError, match="the photo: its pixels have 32 bits"):
        tfface.align(Image.new("I", (9, 9), 200))
    with (
        Image.open(tmp_path / "cut.png") as cut,
        pytest.raises(tfface.InputError, match="the photo: the image can't be loaded: "),
    ):
        tfface.align(cut)
    with pytest.raises(tfface.InputError, match="the photo: the image can't be loaded: "):
        tfface.align(cut)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a\0b.jpg", r"a\?b\.jpg: no file can have this name"),
        ("a\ud800.jpg", r"a\?\.jpg: no file can have this name"),
        ("x" * 5000, "xxx: File name too long"),
    ],
)
def test_names_that_no_file_can_have(path, message):
    with pytest.raises(tfface.InputError, match=message):
        tfface.align(path)
    with pytest.raises(tfface.InputError, match=message):
        tfface.Gallery.build("pixels", {"Anna": path})
