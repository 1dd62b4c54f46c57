"""Mirroring, cropping and noise: what exactly they do."""

import numpy as np
import pytest
import tensorflow as tf

from tfface.data.augment.gaussian_noise import GaussianNoise
from tfface.data.augment.random_crop import RandomCrop
from tfface.data.augment.random_flip import RandomFlip
from tfface.errors import InputError

SEED = tf.constant([1, 2])


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


@pytest.mark.parametrize("kind", [tf.uint8, tf.float32])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("size", [(112, 112), (56, 90), (101, 128)])
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


@pytest.mark.parametrize("size", [112, 128])
def test_crops_are_those_of_tf_image_on_average(size):
    """Mean, standard deviation and range of each pixel's place, over many crops of one image.

    Read off a plane whose values are the places that they come from: the mean agrees to a pixel,
    the standard deviation to 15 percent, the least and the most to a pixel.
    """
    rows, columns = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    image = np.stack([rows, columns, rows + columns], axis=2).astype(np.float32)
    large = tf.image.resize(image, (128, 128))
    theirs = np.stack(
        [
            tf.image.stateless_random_crop(large, (112, 112, 3), tf.constant([i, 7]))[::8, ::8]
            for i in range(800)
        ]
    )
    crop = RandomCrop(128, image_size=(112, 112))
    ours = crop(tf.repeat(image[None], 800, axis=0), SEED).numpy()[:, ::8, ::8]
    assert np.abs(ours.mean(axis=0) - theirs.mean(axis=0)).max() < 1
    assert np.abs(ours.std(axis=0) / theirs.std(axis=0) - 1).max() < 0.15
    for reduce in (np.min, np.max):
        assert np.abs(reduce(ours, axis=0) - reduce(theirs, axis=0))[..., :2].max() <= 1


def test_crop_from_a_smaller_image():
    with pytest.raises(InputError, match="from_size 96 is smaller than the image size 112 x 112"):
        RandomCrop(96, image_size=(112, 112))


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
