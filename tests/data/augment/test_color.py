"""Color augmentations: equal to tf.image where they can be, close to it elsewhere."""

import numpy as np
import pytest
import tensorflow as tf

from tests.data.small_faces import pixels
from tfface.data.augment.color import ColorJitter, RandomGrayscale
from tfface.errors import InputError

SEED = tf.constant([3, 4])


@pytest.fixture(scope="module")
def images():
    """64 pictures of muted colors, as faces have them: float32 in 40..215."""
    rng = np.random.default_rng(0)
    pictures = np.stack([pixels(i) for i in range(64)]).astype(np.float32)
    grey = pictures.mean(axis=3, keepdims=True)
    tint = rng.uniform(-20, 20, (64, 1, 1, 3))
    return tf.constant(np.clip(grey + 0.25 * (pictures - grey) + tint, 40, 215), tf.float32)


@pytest.mark.parametrize(
    ("options", "reference"),
    [
        ({"brightness": [0.1, 0.1]}, lambda x: x + 25.5),
        ({"contrast": [1.3, 1.3]}, lambda x: tf.image.adjust_contrast(x, 1.3)),
        (
            {"brightness": [-0.1, -0.1], "contrast": [0.6, 0.6]},
            lambda x: tf.image.adjust_contrast(x - 25.5, 0.6),
        ),
        ({"saturation": [0, 0]}, lambda x: tf.repeat(tf.image.rgb_to_grayscale(x), 3, axis=3)),
        ({}, lambda x: x),
        ({"hue": [0.5, 0.5]}, lambda x: opposite(x)),
    ],
)
def test_effects_that_are_exact(images, options, reference):
    expected = np.clip(reference(images), 0, 255)
    found = ColorJitter(**options)(images, SEED)
    # tf.image's luma weights have four digits.
    np.testing.assert_allclose(found, expected, atol=0.05)


def opposite(images):
    """Half a turn: I and Q change their sign."""
    yiq = tf.image.rgb_to_yiq(images)
    return tf.image.yiq_to_rgb(yiq * [1.0, -1.0, -1.0])


@pytest.mark.parametrize(
    ("options", "reference", "factor"),
    [
        ({"brightness": 0.15}, lambda x, s: tf.image.stateless_random_brightness(x, 0.15, s), 1.15),
        ({"contrast": 0.3}, lambda x, s: tf.image.stateless_random_contrast(x, 0.7, 1.3, s), 1.15),
        ({"saturation": 0.4}, lambda x, s: tf.image.stateless_random_saturation(x, 0.6, 1.4, s), 2),
        ({"hue": 0.05}, lambda x, s: tf.image.stateless_random_hue(x, 0.05, s), 2),
    ],
    ids=["brightness", "contrast", "saturation", "hue"],
)
def test_distribution_is_that_of_tf_image(images, options, reference, factor):
    """Over 20 draws for each of 64 images, in units of 0..255, per color channel.

    The mean agrees to 2, the standard deviation to 5 percent, the range that holds 98 percent to 6
    and the whole range to 35; the standard deviation of what the stage changes, over all channels,
    to 15 percent for brightness and contrast and to a factor of 2 for the others.
    """
    stage = ColorJitter(**options)
    ours = np.stack([stage(images, tf.constant([i, 0])) for i in range(20)])

    def one(pair):
        # tf.image's color operations on [0, 1], which saturation and hue need.
        return tf.clip_by_value(reference(pair[0] / 255, pair[1]) * 255, 0, 255)

    @tf.function
    def draw(i):
        seeds = tf.stack([tf.range(64), tf.fill([64], i)], axis=1)
        return tf.map_fn(one, (images, seeds), fn_output_signature=tf.float32)

    theirs = np.stack([draw(tf.constant(i)) for i in range(20)])
    axes = (0, 1, 2, 3)
    assert np.abs(ours.mean(axes) - theirs.mean(axes)).max() < 2
    assert np.abs(ours.std(axes) / theirs.std(axes) - 1).max() < 0.05
    for share, tolerance in ((0, 35), (1, 6), (99, 6), (100, 35)):
        difference = np.percentile(ours, share, axes) - np.percentile(theirs, share, axes)
        assert np.abs(difference).max() < tolerance
    change, expected = (ours - images.numpy()).std(), (theirs - images.numpy()).std()
    assert 1 / factor < change / expected < factor


def test_contrast_that_changes_nothing_is_the_same_as_none(images):
    options = {"brightness": 0.15, "saturation": 0.4}
    found = ColorJitter(**options)(images, SEED)
    with_mean = ColorJitter(**options, contrast=[1.0, 1.0 + 1e-7])(images, SEED)
    np.testing.assert_allclose(found, with_mean, atol=1e-3)


def test_every_image_gets_its_own_numbers():
    grey = tf.fill([100, 4, 4, 3], 128.0)
    shifts = ColorJitter(brightness=0.2)(grey, SEED).numpy()[:, 0, 0, 0] - 128
    assert len(set(shifts)) == 100
    assert -51 <= shifts.min() < -40
    assert 40 < shifts.max() <= 51
    assert abs(shifts.mean()) < 9


def test_result_is_clipped(images):
    found = ColorJitter(brightness=1.0, contrast=[0, 5], saturation=[0, 5], hue=0.5)(images, SEED)
    assert found.numpy().min() >= 0
    assert found.numpy().max() <= 255


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"brightness": 1.5}, r"brightness 1\.5 gives the range \[-1\.5, 1\.5\], which must"),
        ({"contrast": 1.2}, r"contrast 1\.2 gives the range \[-0\.2, 2\.2\], which must ascend"),
        ({"saturation": [1.2, 0.8]}, r"saturation \[1\.2, 0\.8\] gives the range \[1\.2, 0\.8\]"),
        ({"hue": 0.6}, r"hue 0\.6 gives .* within \[-0\.5, 0\.5\]"),
    ],
)
def test_ranges_out_of_their_limits(options, message):
    with pytest.raises(InputError, match=message):
        ColorJitter(**options)


def test_grayscale_is_the_luma_of_some_images():
    images = np.random.default_rng(0).uniform(0, 255, (400, 4, 4, 3)).astype(np.float32)
    found = RandomGrayscale(0.25)(images, SEED).numpy()
    same = (found == images).all(axis=(1, 2, 3))
    assert same.mean() == pytest.approx(0.75, abs=0.07)
    luma = images[~same] @ np.array([0.299, 0.587, 0.114], np.float32)
    np.testing.assert_allclose(found[~same], np.repeat(luma[..., None], 3, axis=-1), rtol=1e-5)
