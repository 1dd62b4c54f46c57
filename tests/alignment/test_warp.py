"""An aligned face has its landmarks where the template says, and no aliasing."""

import numpy as np
import pytest
from PIL import Image

from tests.alignment.dots import draw_photo, find_dots
from tfface.alignment.template import align_face, template_points, warp


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
