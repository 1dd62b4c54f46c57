"""Faces that aren't where the template has them are noticed."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.real_faces import lfw
from tfface.data.synthetic import render_faces
from tfface.errors import InputError
from tfface.evaluation.alignment_check import alignment_warning


@pytest.fixture(scope="module")
def faces():
    """Drawn, and aligned."""
    return [Image.fromarray(face) for face in render_faces(range(16), [0] * 16, 112)]


def encoded(pictures):
    files = []
    for picture in pictures:
        file = io.BytesIO()
        picture.save(file, "PNG")
        files.append(file.getvalue())
    return files


def check(pictures, what="drawn"):
    return alignment_warning(encoded(pictures), [f"face {i}" for i in range(len(pictures))], what)


def shifted(picture, x=0, y=0):
    return picture.transform(picture.size, Image.Transform.AFFINE, (1, 0, -x, 0, 1, -y))


def enlarged(picture, scale):
    side = (picture.width - picture.width / scale) / 2
    return picture.resize(picture.size, box=(side, side, 112 - side, 112 - side))


@pytest.mark.parametrize("size", [(112, 112), (224, 224), (64, 64)])
def test_aligned_faces_of_any_size(faces, size):
    assert check([face.resize(size) for face in faces]) is None


def test_aligned_faces_with_narrow_margins(faces):
    assert check([face.crop((8, 0, 104, 112)) for face in faces]) is None


def test_faces_elsewhere(faces):
    line = check([shifted(face, y=14) for face in faces])
    assert line.startswith("drawn looks unaligned: eyes, nose and mouth of ")
    assert " pixels (of 112) from where aligned faces have them; 3 is usual; " in line
    assert "tools/align_faces.py" in line
    assert "\n" not in line
    assert check([enlarged(face, 1.5) for face in faces]) is not None


def test_faces_in_photos(faces):
    def in_photo(face):
        photo = Image.new("RGB", (300, 200), "grey")
        photo.paste(face, (20, 50))
        return photo

    assert check([in_photo(face) for face in faces]) is not None


def test_no_faces():
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    pictures = [Image.fromarray(block).resize((112, 112)) for block in blocks]
    line = check(pictures, "rooms")
    assert line.startswith(
        "rooms looks unaligned: no face was found in 10 of 10 sampled images; al"
    )


def test_nothing_is_said_of_few_or_tiny_images(faces):
    wrong = [shifted(face, x=20) for face in faces]
    assert check(wrong) is not None
    assert check(wrong[:7]) is None
    assert check([face.resize((24, 24)) for face in wrong]) is None
    assert alignment_warning([], [], "nothing") is None


def test_images_that_cant_be_decoded_are_named(faces):
    files = encoded(faces)
    files[3] = files[3][:100]
    with pytest.raises(InputError, match="face 3: the image data are damaged"):
        alignment_warning(files, [f"face {i}" for i in range(16)], "drawn")


def test_real_faces(test_data):
    pair_set = lfw(test_data, 8)
    assert alignment_warning(pair_set.images, pair_set.image_names, "lfw") is None
    pictures = [Image.open(io.BytesIO(image)).convert("RGB") for image in pair_set.images]
    assert check([shifted(picture, y=-9) for picture in pictures]) is not None
