"""Turning, scaling and moving."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.ndimage import map_coordinates

from tests.data.small_faces import pixels
from tfface.data.augment.affine_warp import warp
from tfface.data.augment.random_affine import RandomAffine
from tfface.errors import InputError

SEED = tf.constant([1, 2])
IMAGE = pixels(4, 48).astype(np.float32)


def applied(**options):
    return RandomAffine(**options)(IMAGE[None], SEED).numpy()[0]


def test_without_options_nothing_changes():
    np.testing.assert_array_equal(applied(), IMAGE)


def test_turns_counter_clockwise():
    np.testing.assert_allclose(applied(rotation=[90.0, 90.0]), np.rot90(IMAGE), atol=0.02)
    np.testing.assert_allclose(applied(rotation=[-90.0, -90.0]), np.rot90(IMAGE, -1), atol=0.02)


def test_zoom_enlarges_about_the_center():
    found = applied(zoom=[2.0, 2.0])
    large = np.asarray(
        Image.fromarray(IMAGE.astype(np.uint8)).resize((96, 96), Image.Resampling.BILINEAR)
    )
    np.testing.assert_allclose(found, large[24:72, 24:72], atol=1)


def test_shift_moves_right_and_down():
    found = applied(shift=[0.25, 0.25])
    np.testing.assert_allclose(found[12:, 12:], IMAGE[:-12, :-12], atol=1e-3)


@pytest.mark.parametrize("fill", ["edge", "reflect", "black"])
def test_what_comes_into_view(fill):
    found = applied(shift=[0.25, 0.25], fill=fill)
    if fill == "black":
        assert (found[:12] == 0).all()
        assert (found[:, :12] == 0).all()
    else:
        mode = {"edge": "edge", "reflect": "symmetric"}[fill]
        padded = np.pad(IMAGE, ((12, 0), (12, 0), (0, 0)), mode)[:48, :48]
        np.testing.assert_allclose(found, padded, atol=1e-3)


def test_amounts_are_uniform_in_their_ranges():
    """Read off a plane whose values are the places that they come from."""
    height, width = 40, 60
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    plane = np.stack([x, y, x], axis=-1).astype(np.float32)
    stage = RandomAffine(rotation=10.0, zoom=[0.9, 1.3], shift=0.1)
    found = stage(np.repeat(plane[None], 1500, axis=0), SEED).numpy()
    middle = found[:, 18:22, 28:32, :2]
    a = (middle[:, 0, 1, 0] - middle[:, 0, 0, 0]).astype(np.float64)
    b = (middle[:, 1, 0, 0] - middle[:, 0, 0, 0]).astype(np.float64)
    zooms, angles = 1 / np.hypot(a, b), np.degrees(np.arctan2(-b, a))
    for values, low, high in ((zooms, 0.9, 1.3), (angles, -10, 10)):
        assert low - 0.02 < values.min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < values.max() < high + 0.02
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.05 * (high - low))
    center = found[:, 19:21, 29:31, :2].mean(axis=(1, 2))
    moved = np.abs(center - [29.5, 19.5])
    limit = np.hypot(0.1 * width, 0.1 * height) / 0.9
    assert moved.max() < limit
    assert moved[:, 0].max() > 4
    assert moved[:, 1].max() > 2.5


@pytest.mark.parametrize("fill", ["edge", "reflect", "black"])
def test_any_matrix_moves_pixels_as_in_scipy(fill):
    image = IMAGE[:, :40]
    sizes = np.array([48, 40])[:, None, None]
    x_and_y_of_1 = np.stack(
        [*np.indices((48, 40))[::-1] - (sizes[::-1] - 1) / 2, np.ones((48, 40))]
    )
    rng = np.random.default_rng(0)
    for size in (0.0, 0.1, 1.0):
        matrix = np.eye(2, 3) + size * rng.normal(size=(2, 3)) * [1, 1, 10]
        matrix = matrix.astype(np.float32)
        places = np.tensordot(matrix, x_and_y_of_1, 1)[::-1] + (sizes - 1) / 2
        mode = "reflect" if fill == "reflect" else "nearest"
        expected = np.stack(
            [map_coordinates(image[..., i], places, order=1, mode=mode) for i in range(3)], axis=-1
        )
        if fill == "black":
            expected[((places < -0.5) | (places > sizes - 0.5)).any(axis=0)] = 0
        found = warp(image[None], matrix[None], fill).numpy()[0]
        np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rotation": 200.0}, r"rotation 200\.0 gives the range \[-200, 200\], which must ascend"),
        ({"zoom": 1.5}, r"zoom 1\.5 gives the range \[-0\.5, 2\.5\]"),
        ({"shift": [0.2, 0.1]}, r"shift \[0\.2, 0\.1\] gives the range"),
    ],
)
def test_ranges_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        RandomAffine(**options)
