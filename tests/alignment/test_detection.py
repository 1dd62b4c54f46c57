"""MTCNN's networks and cascade, on photos of real faces."""

import io
import sys
import tarfile
from functools import cache

import numpy as np
import pytest
from PIL import Image

from tfface.alignment.detection import MtcnnDetector, Network, _Levels, _not_inside_others
from tfface.alignment.faces import by_importance, find_faces
from tfface.alignment.template import similarity_transform, template_points


@cache
def detector() -> MtcnnDetector:
    return MtcnnDetector()


def read(archive, name: str) -> Image.Image:
    with tarfile.open(archive) as tar:
        return Image.open(io.BytesIO(tar.extractfile(name).read())).convert("RGB")


def most_important(photo: Image.Image):
    return by_importance([f for f in detector().detect(photo) if f.confidence > 0.9], photo.size)


@pytest.mark.parametrize(("name", "size"), [("pnet", 30), ("rnet", 24), ("onet", 48)])
def test_the_networks_are_those_of_the_package(name, size):
    """Its models, built with Keras, give the same numbers."""
    from mtcnn import stages

    stage = {"pnet": stages.StagePNet, "rnet": stages.StageRNet, "onet": stages.StageONet}[name]()
    batch = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)
    expected = [np.asarray(output) for output in stage.model(batch)]
    expected[-1] = expected[-1][..., 1]
    for found, wanted in zip(Network(name)(batch), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_loading_weights_prints_no_error(name, monkeypatch):
    """From Python 3.13 on, a file that fails to close as it is thrown away is printed about."""
    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    Network(name)
    assert not ignored


def test_faces_of_a_group(test_data):
    photo = read(test_data / "data/deepface_pairs.tar", "deepface_pairs/selfie-many-people.jpg")
    faces = most_important(photo)
    # As found by the package's own detector, whose patches are less sharp.
    boxes = {(353, 111, 130, 173), (0, 244, 68, 115), (210, 124, 90, 124), (90, 287, 116, 159)}
    for left, top, width, height in boxes:
        center = np.array([left + width / 2, top + height / 2])
        nearest = min(np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - center) for face in faces)
        assert nearest < 0.15 * width
    assert min(face.confidence for face in faces) > 0.95


def test_landmarks_are_where_the_face_has_them(test_data):
    photo = read(test_data / "data/deepface_pairs.tar", "deepface_pairs/img25.jpg")
    [face] = most_important(photo)
    assert face.confidence > 0.999
    # As marked by hand; the eyes are 77 pixels apart.
    expected = [(167.6, 155), (244, 145.6), (211, 202), (174, 223), (258, 217)]
    np.testing.assert_allclose(face.landmarks, expected, atol=6)


def test_a_mirrored_photo_has_mirrored_landmarks(test_data):
    photo = read(test_data / "data/deepface_pairs.tar", "deepface_pairs/img12.jpg")
    [face] = most_important(photo)
    [mirrored] = most_important(photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    back = (photo.width - 1 - mirrored.landmarks[:, 0], mirrored.landmarks[:, 1])
    np.testing.assert_allclose(np.stack(back, axis=1)[[1, 0, 2, 4, 3]], face.landmarks, atol=4)


def test_aligned_faces_are_found_and_stay_where_they_are(test_data):
    names = [
        f"lfw_aligned_112/images/{name}/{name}_0001.jpg"
        for name in ("Abba_Eban", "Abdullah_Gul", "Adam_Sandler", "Aaron_Peirsol", "Adel_Al-Jubeir")
    ]
    for name in names:
        photo = read(test_data / "data/lfw_aligned_112.tar", name)
        # Also when they are cut closely: the chin and the forehead are gone.
        for shift, picture in ((0, photo), (20, photo.crop((20, 20, 92, 108)))):
            faces, turned = find_faces(detector(), picture, min_confidence=0.9, longest_side=1024)
            assert turned == 0
            moved = similarity_transform(faces[0].landmarks + shift, template_points(112, 112))
            scale = np.hypot(moved[0, 0], moved[1, 0])
            degrees = np.degrees(np.arctan2(moved[1, 0], moved[0, 0]))
            assert 0.85 < scale < 1.15
            assert abs(degrees) < 8
            assert np.linalg.norm(moved @ (56, 72, 1) - (56, 72)) < 6


@pytest.mark.parametrize("size", [(1, 1), (5, 90), (11, 11), (300, 9), (64, 64)])
def test_pictures_without_a_face(size):
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    assert [f for f in detector().detect(Image.fromarray(noise)) if f.confidence > 0.9] == []
    assert detector().detect(Image.new("RGB", size, "white")) == []


def test_patches_are_cut_exactly_and_antialiased():
    rows, columns = np.mgrid[:200, :300]
    picture = np.stack([columns, rows, 0 * rows], axis=-1) * 0.8
    levels = _Levels(Image.fromarray(picture.astype(np.uint8)))
    boxes = np.array([(50, 40, 74, 64), (20, 30, 116, 126), (-24, 40, 24, 88)], np.float64)
    patches = levels.patches(boxes, 24) * 128 + 127.5
    # The center of a patch's first pixel is half of one from the box's corner.
    for patch, (left, top, right, _) in zip(patches[:2], boxes, strict=False):
        step = (right - left) / 24
        expected = (left + (np.arange(24) + 0.5) * step - 0.5) * 0.8
        np.testing.assert_allclose(patch[5, :, 0], expected, atol=0.9)
        expected = (top + (np.arange(24) + 0.5) * step - 0.5) * 0.8
        np.testing.assert_allclose(patch[:, 7, 1], expected, atol=0.9)
    assert (patches[2, :, :11] == 127.5).all()


def test_of_overlapping_faces_the_surest_is_left():
    boxes = np.array([(0, 0, 10, 10), (2, 2, 8, 8), (5, 0, 15, 10), (40, 40, 50, 50)], np.float64)
    scores = np.array([0.9, 0.99, 0.8, 0.7], np.float32)
    assert _not_inside_others(boxes, scores) == [1, 2, 3]


def test_without_the_package_of_the_weights_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mtcnn", None)
    with pytest.raises(ModuleNotFoundError, match=r"mtcnn is not .*pip install 'tfface\[align\]'"):
        Network("pnet")
