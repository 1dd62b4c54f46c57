"""Image quality: noise, blur and low resolution."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.ndimage import gaussian_filter

from tests.data.small_faces import pixels
from tfface.data.augment.quality import (
    GaussianBlur,
    GaussianNoise,
    LowResolution,
    _down_and_up_weights,
    _resize_weights,
)
from tfface.errors import InputError

SEED = tf.constant([1, 2])


def applied(stage, images):
    return tf.function(stage)(images, SEED).numpy()


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.0, 9.0])
def test_blur_is_that_of_scipy(sigma):
    """Weights that lie beyond the border are missing, and the others make up for it."""
    image = pixels(3, 48)[:, :40].astype(np.float32)
    blur = partial(gaussian_filter, sigma=sigma, mode="constant", truncate=48 / sigma, axes=(0, 1))
    found = applied(GaussianBlur(1.0, sigma=[sigma, sigma]), image[None])[0]
    np.testing.assert_allclose(found, blur(image) / blur(np.ones_like(image)), atol=0.01)


@pytest.mark.parametrize("stage", [GaussianBlur, LowResolution])
def test_some_images_stay(stage):
    images = np.random.default_rng(0).uniform(0, 255, (300, 12, 12, 3)).astype(np.float32)
    found = applied(stage(0.3), images)
    same = (found == images).all(axis=(1, 2, 3))
    # A scale near 1 changes nothing either.
    assert same.mean() == pytest.approx(0.7, abs=0.12)


@pytest.mark.parametrize(
    ("kind", "pillow"), [(1, Image.Resampling.BILINEAR), (3, Image.Resampling.BICUBIC)]
)
def test_enlarging_agrees_with_pillow(kind, pillow):
    """But at the border; Pillow's bicubic has another parameter, so it is only near."""
    small = pixels(5, 12).astype(np.float32)[..., 0]
    rows = _resize_weights(48, 12, 48, tf.constant(kind)).numpy()[:, :12]
    found = rows @ small @ rows.T
    wanted = np.asarray(Image.fromarray(small).resize((48, 48), pillow))
    atol = 0.05 if kind == 1 else 6
    np.testing.assert_allclose(found[8:-8, 8:-8], wanted[8:-8, 8:-8], atol=atol)


def test_shrinking_by_area_takes_means():
    image = np.arange(12, dtype=np.float32)
    weights = _resize_weights(12, 12, 3, tf.constant(2)).numpy()
    np.testing.assert_allclose(weights[:3] @ image, [1.5, 5.5, 9.5], rtol=1e-6)
    assert (weights[3:] == 0).all()


@pytest.mark.parametrize("scale", [0.2, 0.37, 0.5, 0.9])
def test_nearest_repeats_values_of_the_image(scale):
    matrix = _down_and_up_weights(40, tf.constant(scale), tf.constant(0), tf.constant(0)).numpy()
    assert set(np.unique(matrix)) == {0.0, 1.0}
    assert (matrix.sum(axis=1) == 1).all()
    assert len(np.unique(matrix.argmax(axis=1))) == int(np.float32(scale) * 40)
    assert (np.diff(matrix.argmax(axis=1)) >= 0).all()


@pytest.mark.parametrize("down", range(4))
@pytest.mark.parametrize("up", range(4))
def test_a_flat_image_stays_flat(down, up):
    matrix = _down_and_up_weights(30, tf.constant(0.3), tf.constant(down), tf.constant(up)).numpy()
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-5)


def test_fewer_pixels_leave_less_detail():
    images = np.random.default_rng(0).uniform(0, 255, (64, 40, 40, 3)).astype(np.float32)

    def distinct(low, high):
        found = applied(LowResolution(1.0, scale=[low, high]), images)
        return np.abs(np.diff(found, axis=1)).mean()

    assert distinct(0.1, 0.15) < distinct(0.4, 0.5) < distinct(1.0, 1.0)
    np.testing.assert_allclose(
        applied(LowResolution(1.0, scale=[1.0, 1.0]), images), images, atol=0.1
    )


def test_ranges_are_checked():
    with pytest.raises(InputError, match=r"low_resolution: scale \[0\.5, 2\.0\] must ascend"):
        LowResolution(scale=[0.5, 2.0])
    with pytest.raises(InputError, match=r"gaussian_blur: sigma \[0\.0, 2\.0\] must ascend"):
        GaussianBlur(sigma=[0.0, 2.0])


def test_noise_is_close_to_normal():
    images = tf.fill([40, 64, 64, 3], 128.0)
    noise = GaussianNoise(5.0)(images, SEED).numpy() - 128
    assert abs(noise.mean()) < 0.03
    assert noise.std() == pytest.approx(5, rel=0.005)
    assert ((noise / 5) ** 4).mean() - 3 == pytest.approx(-0.12, abs=0.03)
    assert abs(((noise / 5) ** 3).mean()) < 0.02
    # Shares within 1, 2 and 3 standard deviations of a normal distribution.
    for bound, share in ((5, 0.6827), (10, 0.9545), (15, 0.9973)):
        assert (np.abs(noise) < bound).mean() == pytest.approx(share, abs=0.012)


def test_noise_of_pixels_channels_and_images_is_unrelated():
    noise = GaussianNoise(5.0)(tf.fill([40, 64, 64, 3], 128.0), SEED).numpy() - 128
    for other in (
        np.roll(noise, 1, axis=0),
        np.roll(noise, 1, axis=1),
        np.roll(noise, 1, axis=2),
        np.roll(noise, 1, axis=3),
        GaussianNoise(5.0)(tf.fill([40, 64, 64, 3], 128.0), tf.constant([1, 3])).numpy() - 128,
    ):
        assert abs((noise * other).mean() / 25) < 0.006


def test_noise_stays_in_range():
    found = GaussianNoise(100.0)(tf.zeros([2, 32, 32, 3]), SEED).numpy()
    assert found.min() == 0
    assert found.max() > 200
    np.testing.assert_array_equal(GaussianNoise(0.0)(tf.ones([1, 2, 2, 3]), SEED), 1)
