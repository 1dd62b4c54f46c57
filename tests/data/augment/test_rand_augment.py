"""RandAugment: its operations are Pillow's, and each comes as often as any other."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from tests.data.small_faces import pixels
from tfface.data.augment import color, rand_augment
from tfface.data.augment.rand_augment import RandAugment, operations

SEED = tf.constant([1, 2])
PICTURE = Image.fromarray(np.clip(pixels(6, 40) * 0.7 + 20, 0, 255).astype(np.uint8))
IMAGE = tf.constant(np.asarray(PICTURE), tf.float32)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (color.adjust_brightness(IMAGE, 1.6), ImageEnhance.Brightness(PICTURE).enhance),
        (color.adjust_color(IMAGE, 1.6), ImageEnhance.Color(PICTURE).enhance),
        (color.adjust_contrast(IMAGE, 1.6), ImageEnhance.Contrast(PICTURE).enhance),
        (color.adjust_sharpness(IMAGE, 1.6), ImageEnhance.Sharpness(PICTURE).enhance),
        (color.adjust_sharpness(IMAGE, 0.4), None),
        (color.stretch_contrast(IMAGE), ImageOps.autocontrast(PICTURE)),
        (color.equalize(IMAGE), ImageOps.equalize(PICTURE)),
        (color.posterize(IMAGE, 3), ImageOps.posterize(PICTURE, 3)),
        (color.solarize(IMAGE, 100.0), ImageOps.solarize(PICTURE, 100)),
    ],
    ids=[
        *("brightness", "color", "contrast", "sharpness", "smoothness"),
        *("autocontrast", "equalize", "posterize", "solarize"),
    ],
)
def test_operations_are_those_of_pillow(found, wanted):
    if wanted is None:
        wanted = ImageEnhance.Sharpness(PICTURE).enhance(0.4)
    elif callable(wanted):
        wanted = wanted(1.6)
    # Pillow rounds between its steps, too.
    np.testing.assert_allclose(found, np.asarray(wanted, np.float32), atol=1.7)


def test_flat_images_are_left_alone():
    flat = tf.fill([8, 8, 3], 90.0)
    for name, operation in operations(0.3).items():
        if name in ("autocontrast", "equalize", "color", "contrast", "sharpness"):
            np.testing.assert_allclose(operation(flat, tf.constant(1.0)), flat, atol=1e-3)


def test_a_magnitude_of_zero_changes_nothing():
    for name, operation in operations(0.0).items():
        found = operation(IMAGE, tf.constant(-1.0))
        if name not in ("autocontrast", "equalize"):
            np.testing.assert_allclose(found, IMAGE, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_magnitude_of_one_changes_everything(sign):
    found = {name: op(IMAGE, tf.constant(sign)).numpy() for name, op in operations(1.0).items()}
    for name, image in found.items():
        assert image.min() >= 0
        assert image.max() <= 255
        assert (np.abs(image - IMAGE).max() > 2) == (name != "identity"), name
    np.testing.assert_array_equal(found["solarize"], 255 - IMAGE)
    np.testing.assert_array_equal(found["posterize"] % 16, 0)


def test_operations_move_to_both_sides():
    moves = operations(0.5)
    left, right = (moves["translate_x"](IMAGE, tf.constant(s)).numpy() for s in (1.0, -1.0))
    assert (left[:, -5:] == 0).all()
    assert (right[:, :5] == 0).all()
    assert (left[:, 5:15] != 0).any()


def test_every_operation_comes_alike(monkeypatch):
    """Of stand-ins, each of which sets a mark of its own."""
    marks = {
        str(number): lambda image, sign, number=number: image + sign * 100.0**number
        for number in range(4)
    }
    marks["0"] = lambda image, sign: image
    monkeypatch.setattr(rand_augment, "operations", lambda magnitude: marks)
    zeros = tf.zeros([2000, 1, 1, 3])

    def marked(*options, **more):
        stage = tf.function(RandAugment(*options, **more))
        return stage(zeros, SEED).numpy()[:, 0, 0, 0]

    found = marked(1)
    values, counts = np.unique(found, return_counts=True)
    assert values.tolist() == [-1e6, -1e4, -1e2, 0, 1e2, 1e4, 1e6]
    assert counts[3] == pytest.approx(500, abs=70)
    for count in np.delete(counts, 3):
        assert count == pytest.approx(250, abs=60)
    found = marked(1, probability=0.4)
    assert (found != 0).mean() == pytest.approx(0.3, abs=0.04)
    # Three times, of which three quarters set a mark: what stays unmarked is rarer.
    found = marked(3)
    assert (found == 0).mean() < 0.1
