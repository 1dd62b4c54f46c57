"""Faces that aren't where the template has them are noticed."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.real_faces import lfw
from tfface.errors import InputError
from tfface.evaluation.sanity_checks import alignment_warning
from tfface.synthetic import render_faces


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
    assert "tfface align" in line
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


def test_nothing_is_said_of_tiny_images(faces):
    wrong = [shifted(face, x=20) for face in faces]
    assert check(wrong) is not None
    assert check([face.resize((24, 24)) for face in wrong]) is None
    assert check([face.resize((24, 24)) for face in wrong[:3]]) is None
    assert alignment_warning([], [], "nothing") is None


@pytest.fixture(scope="module")
def plain_faces(faces):
    """Those in which the detector finds the face: it misses some that are drawn."""
    found = [face for face in faces if check([face]) is None]
    assert len(found) >= 7
    return found


def test_a_few_images_are_looked_at_one_by_one(plain_faces):
    faces = plain_faces
    assert check(faces[:7]) is None
    assert check([shifted(faces[0], x=20)]).startswith(
        "face 0 looks unaligned: its eyes, nose and mouth lie 18 pixels (of 112) from where"
    )
    line = check([*faces[:3], shifted(faces[3], x=20), Image.new("RGB", (112, 112), "grey")])
    assert line.startswith("2 of 5 images look unaligned, for example face 3: its eyes, nose")
    assert check([Image.new("RGB", (200, 112), "grey")]).startswith(
        "face 0 looks unaligned: no face was found in it; align it with tfface align"
    )


def test_each_of_many_images_is_looked_at_where_it_stands_for_itself(plain_faces):
    faces = (plain_faces * 3)[:16]
    pictures = [*faces, *faces[:15], shifted(faces[3], x=20), *faces]
    files, names = encoded(pictures), [f"face {i}" for i in range(len(pictures))]
    assert alignment_warning(files, names, "queries") is None
    line = alignment_warning(files, names, "queries", each=True)
    assert line.startswith("1 of 48 images looks unaligned, for example face 31: its eyes, nose")
    aligned = encoded([*faces, *faces])
    assert alignment_warning(aligned, names, "queries", each=True) is None


def test_images_that_cant_be_decoded_are_named(faces):
    files = encoded(faces)
    files[3] = files[3][:100]
    with pytest.raises(InputError, match="face 3: the image data are damaged"):
        alignment_warning(files, [f"face {i}" for i in range(16)], "drawn")


def test_real_faces(test_data):
    pair_set = lfw(test_data, 8)
    what = (pair_set.images, pair_set.image_names, "lfw")
    assert alignment_warning(*what) is None
    assert alignment_warning(*what, each=True) is None
    pictures = [Image.open(io.BytesIO(image)).convert("RGB") for image in pair_set.images]
    assert check([shifted(picture, y=-9) for picture in pictures]) is not None
