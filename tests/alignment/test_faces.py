"""Which face of several is the most important."""

import numpy as np
import pytest

from tests.alignment.dots import face_at
from tfface.alignment.faces import by_importance, importance, is_cut_off

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
