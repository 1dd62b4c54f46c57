"""Geometric augmentations: flip, crop, rotation, zoom and shift."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.ndimage import map_coordinates

from tests.data.small_faces import pixels
from tfface.data.augment.geometric import RandomAffine, RandomCrop, RandomFlip, affine_warp
from tfface.errors import InputError

SEED = tf.constant([1, 2])
IMAGE = pixels(4, 48).astype(np.float32)


def applied(**options):
    return RandomAffine(**options)(IMAGE[None], SEED).numpy()[0]


def test_flip_mirrors_some_images_whole():
    images = np.random.default_rng(0).uniform(0, 255, (400, 3, 5, 3)).astype(np.float32)
    found = RandomFlip()(images, SEED).numpy()
    same = (found == images).all(axis=(1, 2, 3))
    mirrored = (found == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 150 < mirrored.sum() < 250
    np.testing.assert_array_equal(RandomFlip(0.0)(images, SEED), images)
    np.testing.assert_array_equal(RandomFlip(1.0)(images, SEED), images[:, :, ::-1])


def test_crop_cuts_everywhere_alike():
    rows, columns = np.meshgrid(np.arange(12), np.arange(12), indexing="ij")
    image = np.stack([rows, columns, rows], axis=2).astype(np.float32)
    crop = RandomCrop(12, image_size=(8, 10))
    assert crop.load_size == (12, 12)
    found = crop(tf.repeat(image[None], 3000, axis=0), SEED).numpy()
    assert found.shape == (3000, 8, 10, 3)
    top, left = found[:, 0, 0, 0].astype(int), found[:, 0, 0, 1].astype(int)
    for number in range(50):
        y, x = top[number], left[number]
        np.testing.assert_array_equal(found[number], image[y : y + 8, x : x + 10])
    counts = np.bincount(top * 3 + left)
    assert len(counts) == 15
    assert counts.min() > 140
    assert counts.max() < 260


@pytest.mark.parametrize("size", [(112, 112), (56, 90), (101, 128)])
@pytest.mark.parametrize(
    ("kind", "compiled"),
    [
        (tf.uint8, True),
        (tf.float32, False),
        pytest.param(tf.uint8, False, marks=pytest.mark.slow),
        pytest.param(tf.float32, True, marks=pytest.mark.slow),
    ],
)
def test_crop_enlarges_as_tf_image_does(size, kind, compiled):
    images = np.random.default_rng(0).integers(0, 256, (40, *size, 3))
    images = tf.cast(images, kind)
    crop = RandomCrop(128, image_size=(112, 96))
    found = tf.function(crop, jit_compile=compiled)(images, SEED)
    assert found.dtype == kind
    large = tf.round(tf.image.resize(images, (128, 128)))
    # The places that are drawn do not depend on how large the images are.
    wanted = crop(large, SEED).numpy()
    difference = np.abs(tf.cast(found, tf.float32).numpy() - wanted)
    # Compiled code may join a product and a sum, so that a half is rounded the other way.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3
    if size == (112, 112):
        assert not difference.any()


@pytest.mark.parametrize("size", [128, pytest.param(112, marks=pytest.mark.slow)])
def test_crops_are_those_of_tf_image_on_average(size):
    """Mean, standard deviation and range of each pixel's place, over many crops of one image.

    Read off a plane whose values are the places that they come from: the mean agrees to a pixel,
    the standard deviation to 15 percent, the least and the most to a pixel.
    """
    rows, columns = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    image = np.stack([rows, columns, rows + columns], axis=2).astype(np.float32)
    large = tf.image.resize(image, (128, 128))

    @tf.function
    def draw(seed):
        return tf.image.stateless_random_crop(large, (112, 112, 3), seed)[::8, ::8]

    theirs = np.stack([draw(tf.constant([i, 7])) for i in range(800)])
    crop = RandomCrop(128, image_size=(112, 112))
    ours = crop(tf.repeat(image[None], 800, axis=0), SEED).numpy()[:, ::8, ::8]
    assert np.abs(ours.mean(axis=0) - theirs.mean(axis=0)).max() < 1
    assert np.abs(ours.std(axis=0) / theirs.std(axis=0) - 1).max() < 0.15
    for reduce in (np.min, np.max):
        assert np.abs(reduce(ours, axis=0) - reduce(theirs, axis=0))[..., :2].max() <= 1


def test_crop_from_a_smaller_image():
    with pytest.raises(InputError, match="from_size 96 is smaller than the image size 112 x 112"):
        RandomCrop(96, image_size=(112, 112))


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
        found = affine_warp(image[None], matrix[None], fill).numpy()[0]
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
