"""The template, and the transform and the warp that bring landmarks to it without aliasing."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.alignment.dots import draw_photo, find_dots
from tests.property_tests import examples
from tfface.alignment.template import (
    align_face,
    is_aligned,
    similarity_transform,
    template_points,
    warp,
)
from tfface.face_template import LANDMARK_NAMES


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


def smooth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A picture without fine detail, as a function of the place."""
    red = 128 + 60 * np.sin(x / 40) * np.cos(y / 55)
    green = 128 + 60 * np.cos((x + y) / 60)
    return np.stack([red, green, 255 - (red + green) / 2], axis=-1)


def smooth_photo(width: int, height: int) -> Image.Image:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(smooth(x, y).round().astype(np.uint8))


@pytest.mark.parametrize("size", [(112, 112), (112, 96), (224, 224), (64, 64)])
@pytest.mark.parametrize("scale", [0.7, 1.5, 6])
def test_dots_come_to_the_template(size, scale):
    photo, landmarks = draw_photo((1000, 800), (480, 390), scale, radius=7 * scale)
    face = align_face(photo, landmarks, *size)
    assert (face.mode, face.size) == ("RGB", size[::-1])
    np.testing.assert_allclose(find_dots(face), template_points(*size), atol=0.35)


@pytest.mark.parametrize("scale", [0.13, 0.5, 0.97, 1, 1.7])
@pytest.mark.parametrize("degrees", [0, 11, 90, 180])
def test_every_pixel_is_where_the_transform_says(scale, degrees):
    angle = np.deg2rad(degrees)
    linear = scale * np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    transform = np.column_stack([linear, (48, 56) - linear @ (501.3, 402.9)])
    result = np.asarray(warp(smooth_photo(1000, 800), transform, 112, 96)).astype(float)
    x, y = np.meshgrid(np.arange(96), np.arange(112))
    back = np.linalg.inv(linear) @ (np.stack([x, y]).reshape(2, -1) - transform[:, 2:])
    inside = ((back > 8) & (back < [[990], [790]])).all(axis=0).reshape(112, 96)
    expected = smooth(*back).reshape(112, 96, 3)
    assert inside.mean() > 0.6
    # Shrinking averages over pixels, which takes away a little of the waves' height.
    assert np.abs(result - expected)[inside].max() < (2 if scale > 0.2 else 4)


def test_nothing_is_moved_when_there_is_nothing_to_do():
    photo = smooth_photo(112, 112)
    difference = np.asarray(warp(photo, np.eye(2, 3), 112, 112)).astype(int) - np.asarray(photo)
    assert np.abs(difference[1:-1, 1:-1]).max() <= 1


def test_fine_texture_becomes_grey_not_a_pattern():
    """Stripes of one pixel, eight of which make one of the result."""
    stripes = np.zeros((1200, 1200, 3), np.uint8)
    stripes[:, ::2] = 255
    transform = np.array([(0.118, 0.013, -20), (-0.013, 0.118, -20)])
    face = np.asarray(warp(Image.fromarray(stripes), transform, 112, 96))
    assert np.abs(face[2:-2, 2:-2].astype(int) - 128).max() < 6


def test_beyond_the_photo_it_is_black():
    photo = Image.new("RGB", (100, 100), "white")
    for scale in (0.4, 1, 2):
        half_out = np.array([(scale, 0, 56), (0, scale, 0)])
        face = np.asarray(warp(photo, half_out, 40, 112))
        assert (face[:, :54] == 0).all()
        assert (face[2:38, 58:94] >= 250).all()
        all_out = np.array([(scale, 0, -500), (0, scale, 0)])
        assert (np.asarray(warp(photo, all_out, 112, 112)) == 0).all()


def test_what_is_aligned_already():
    template = template_points(112, 96)
    assert is_aligned(template, (96, 112))
    # The detector errs by as much.
    assert is_aligned(template + 3, (96, 112))
    # A longer face: its points lie 5 pixels from the template, and alignment can't change that.
    longer = template + np.array([(0, -5), (0, -5), (0, 0), (0, 5), (0, 5)])
    assert is_aligned(longer, (96, 112))
    # Photos that a face fills, moved and enlarged.
    assert not is_aligned(template + 5, (96, 112))
    assert not is_aligned((template - 50) * 1.3 + 50, (96, 112))
    assert not is_aligned(template * 2 + 10, (192, 224))
