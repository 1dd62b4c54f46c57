"""The template, and the transform that brings landmarks to it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfface.data.alignment.template import LANDMARK_NAMES, similarity_transform, template_points


def moved(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    return points @ transform[:, :2].T + transform[:, 2]


def test_the_points_of_arcface():
    assert template_points(112, 112).tolist() == [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
    assert len(LANDMARK_NAMES) == 5


def test_112_x_96_is_shifted_by_8():
    expected = template_points(112, 112) - (8, 0)
    np.testing.assert_allclose(template_points(112, 96), expected)
    assert template_points(112, 96)[0, 0] == pytest.approx(30.2946)


def test_other_sizes_are_scaled():
    np.testing.assert_allclose(template_points(224, 224), 2 * template_points(112, 112))
    np.testing.assert_allclose(template_points(224, 192), 2 * template_points(112, 96))
    wide = template_points(112, 112) + np.array([8, 0])
    np.testing.assert_allclose(template_points(112, 128), wide)


def test_points_in_place_stay_there():
    points = template_points(112, 112)
    np.testing.assert_allclose(similarity_transform(points, points), np.eye(2, 3), atol=1e-12)


def test_golden_values():
    """Of scikit-image's SimilarityTransform, which InsightFace uses."""
    landmarks = np.array([(30, 40), (62, 44), (45, 63), (31, 80), (57, 84)], np.float64)
    expected = [
        [1.03984597, 0.09085282, 3.58204619],
        [-0.09085282, 1.03984597, 11.31073749],
    ]
    transform = similarity_transform(landmarks, template_points(112, 112))
    np.testing.assert_allclose(transform, expected, atol=1e-6)


@given(
    angle=st.floats(-np.pi, np.pi),
    scale=st.floats(0.01, 100),
    shift=st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)),
)
def test_whatever_similarity_moved_the_points_is_undone(angle, scale, shift):
    target = template_points(112, 112)
    linear = scale * np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    source = target @ linear.T + shift
    np.testing.assert_allclose(
        moved(source, similarity_transform(source, target)), target, atol=1e-6
    )


def test_it_is_the_least_squares_solution():
    rng = np.random.default_rng(0)
    target = template_points(112, 112)
    source = target + rng.normal(0, 5, (5, 2))
    best = similarity_transform(source, target)
    least = np.square(moved(source, best) - target).sum()
    a, b = best[0, 0], best[1, 0]
    for change in rng.normal(0, 0.01, (50, 4)):
        other = np.array([(a + change[0], -b - change[1]), (b + change[1], a + change[0])])
        other = np.column_stack([other, best[:, 2] + change[2:] * 10])
        assert np.square(moved(source, other) - target).sum() > least


def test_it_never_mirrors():
    mirrored = template_points(112, 112) * (-1, 1)
    transform = similarity_transform(mirrored, template_points(112, 112))
    assert np.linalg.det(transform[:, :2]) >= 0


def test_points_that_are_all_the_same():
    with pytest.raises(ValueError, match="the points are all the same"):
        similarity_transform(np.ones((5, 2)), template_points(112, 112))
