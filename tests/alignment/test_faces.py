"""Faces are found whatever the photo's size and however it lies; the most important of several."""

import numpy as np
import pytest
from PIL import Image

from tests.alignment.dots import DotDetector, ScriptedDetector, draw_photo, face_at
from tfface.alignment.faces import by_importance, find_faces, importance, is_cut_off

SIZE = (400, 300)


def test_the_formula():
    assert importance(face_at(150, 100, 100), SIZE) == pytest.approx(100 * 100)
    # The center is at (50, 50), 180.3 from (200, 150); half the diagonal is 250.
    expected = 100 * 100 * (1 - np.hypot(150, 100) / 250)
    assert importance(face_at(0, 0, 100), SIZE) == pytest.approx(expected)


def test_the_largest_of_equally_central_faces():
    small, large = face_at(180, 130, 40), face_at(150, 100, 100)
    assert by_importance([small, large], SIZE) == [large, small]


def test_the_most_central_of_equally_large_faces():
    aside, central = face_at(0, 100, 100), face_at(140, 100, 100)
    assert by_importance([aside, central], SIZE) == [central, aside]


def test_a_much_larger_face_aside_outweighs_a_small_one_in_the_middle():
    aside, central = face_at(0, 40, 200), face_at(180, 130, 40)
    assert by_importance([central, aside], SIZE) == [aside, central]


def test_only_what_is_in_the_photo_counts():
    half_out = face_at(-100, 100, 200)
    assert importance(half_out, SIZE) == pytest.approx(100 * 200 * (1 - 158.114 / 250), rel=1e-4)
    assert importance(face_at(-300, 0, 200), SIZE) == 0


@pytest.mark.parametrize(
    ("left", "top", "cut_off"),
    [(100, 100, False), (-30, 100, False), (-45, 100, True), (100, -60, True), (330, 0, True)],
)
def test_cut_off(left, top, cut_off):
    # Of a face of 112 pixels the left eye and corner of the mouth are at x = 38 and 42.
    assert is_cut_off(face_at(left, top, 112), SIZE) is cut_off


def test_one_landmark_beyond_the_edge_is_no_harm():
    face = face_at(-40, 100, 112)  # the eye at x = -1.7, the mouth at 1.5
    assert not is_cut_off(face, SIZE)


def search(detector, photo, min_confidence=0.9, longest_side=1024):
    return find_faces(detector, photo, min_confidence=min_confidence, longest_side=longest_side)


@pytest.mark.parametrize("longest_side", [300, 997, 5000])
def test_landmarks_are_those_of_the_whole_photo(longest_side):
    photo, landmarks = draw_photo((1600, 1200), (700, 600), 5, radius=30)
    [face], turned = search(DotDetector(), photo, longest_side=longest_side)
    assert turned == 0
    np.testing.assert_allclose(face.landmarks, landmarks, atol=1.5)
    assert (face.box[:2] < landmarks.min(axis=0)).all()
    assert (face.box[2:] > landmarks.max(axis=0)).all()


@pytest.mark.parametrize("longest_side", [200, 1024])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_turned_photos(turn, longest_side):
    photo, landmarks = draw_photo((400, 300), (120, 170))
    # Turned clockwise, so that it stands upright when turned the other way.
    lying = photo.rotate(-turn, expand=True)
    [face], turned = search(DotDetector(), lying, longest_side=longest_side)
    assert turned == turn
    found = np.array([lying.getpixel(tuple(point)) for point in face.landmarks.round().astype(int)])
    expected = [photo.getpixel(tuple(point)) for point in landmarks.round().astype(int)]
    assert (found == expected).all()
    assert (face.box[:2] < face.landmarks.min(axis=0)).all()
    assert (face.box[2:] > face.landmarks.max(axis=0)).all()


def test_small_photos_are_not_enlarged():
    detector = ScriptedDetector([[face_at(0, 0, 20)]])
    search(detector, Image.new("RGB", (50, 40)))
    assert [picture.size for picture in detector.pictures] == [(50, 40)]


def test_long_thin_photos():
    detector = ScriptedDetector([[]])
    assert search(detector, Image.new("RGB", (5000, 1))) == ([], 0)
    assert detector.pictures[0].size == (1024, 1)


def test_a_sure_face_is_looked_for_once_only():
    detector = ScriptedDetector([[face_at(40, 40, 100, 0.996)]])
    search(detector, Image.new("RGB", (200, 200)))
    assert len(detector.pictures) == 1


@pytest.mark.parametrize(
    ("upright", "by_turn", "turned"),
    [
        (0.95, [0.99, 0.999, 0.992], 180),
        (0.95, [0.98, 0.985, 0.989], 0),  # no turn is sure
        (0.994, [0.991, 0.991, 0.993], 0),  # none is surer
        (0.97, [0, 0.991, 0], 0),  # not surer enough
        (0, [0, 0, 0.999], 270),
        (0.8, [0, 0, 0], 0),
    ],
)
def test_when_a_photo_is_taken_to_be_turned(upright, by_turn, turned):
    confidences = [upright, *by_turn]
    answers = [[face_at(40, 40, 100, c)] if c else [] for c in confidences]
    detector = ScriptedDetector(answers)
    faces, found = search(detector, Image.new("RGB", (200, 200)))
    assert len(detector.pictures) == 4
    assert found == turned
    assert [face.confidence for face in faces] == [confidences[turned // 90]]


def test_the_most_important_face_decides_whether_it_is_sure():
    small_and_sure, large = face_at(0, 0, 30, 0.999), face_at(50, 50, 100, 0.95)
    detector = ScriptedDetector([[small_and_sure, large], []])
    faces, _ = search(detector, Image.new("RGB", (200, 200)))
    assert len(detector.pictures) == 4
    assert [face.confidence for face in faces] == [0.95, 0.999]
