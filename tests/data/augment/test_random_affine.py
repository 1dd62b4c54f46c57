"""Turning, scaling and moving."""

import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.small_faces import pixels
from tfface.data.augment.random_affine import RandomAffine
from tfface.data.augment.warping import warp
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


def test_turns_like_pillow():
    found = applied(rotation=[20.0, 20.0], fill="black")
    turned = Image.fromarray(IMAGE.astype(np.uint8)).rotate(20, Image.Resampling.BILINEAR)
    differs = np.abs(found - np.asarray(turned)).max(axis=-1)
    # Pillow cuts values instead of rounding them; and the black edge.
    assert (differs > 1.1).mean() < 0.05
    assert (found == 0).all(axis=-1).mean() > 0.05


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


def test_a_shear_by_its_matrix():
    matrix = tf.constant([[[1.0, 0.5, 0.0], [0.0, 1.0, 0.0]]])
    found = warp(IMAGE[None], matrix, "edge").numpy()[0]
    # The rows that lie a whole number of pixels from the center.
    for row in range(24):
        offset = (row - 23.5) * 0.5
        low = math.floor(offset)
        share = offset - low
        columns = np.arange(20, 28)
        wanted = (1 - share) * IMAGE[row, columns + low] + share * IMAGE[row, columns + low + 1]
        np.testing.assert_allclose(found[row, 20:28], wanted, atol=1e-3)


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
