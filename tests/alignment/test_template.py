"""The template, and the transform that brings landmarks to it."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property_tests import examples
from tfface.alignment.template import LANDMARK_NAMES, similarity_transform, template_points


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


@examples(50)
@given(
    seed=st.integers(0, 10_000),
    noise=st.floats(0, 30),
    scale=st.floats(0.1, 10),
    mirrored=st.booleans(),
)
def test_it_is_the_least_squares_solution_of_opencv(seed, noise, scale, mirrored):
    """Which turns, scales and shifts but never mirrors either; in float32, and with no outliers."""
    rng = np.random.default_rng(seed)
    target = template_points(112, 112)
    source = scale * target * (-1 if mirrored else 1, 1) + rng.normal(0, 100, 2)
    source += rng.normal(0, noise, (5, 2))
    cv2.setRNGSeed(0)
    expected, is_inlier = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=1e9, refineIters=100
    )
    assert is_inlier.all()
    transform = similarity_transform(source, target)
    np.testing.assert_allclose(moved(source, transform), moved(source, expected), atol=1e-3)
    assert np.linalg.det(transform[:, :2]) >= 0


def test_points_that_are_all_the_same():
    with pytest.raises(ValueError, match="the points are all the same"):
        similarity_transform(np.ones((5, 2)), template_points(112, 112))
