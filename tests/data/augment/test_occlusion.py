"""Occlusion: how much is covered, where, and by what."""

import numpy as np
import pytest
import tensorflow as tf

from tfface.data.augment.occlusion import (
    GridMask,
    RandomCropErase,
    RandomErasing,
    draw_rectangles,
)
from tfface.errors import InputError

SEED = tf.constant([1, 2])
IMAGES = np.random.default_rng(0).uniform(1, 255, (600, 20, 30, 3)).astype(np.float32)


def changed(stage, images=IMAGES):
    """Which pixels the stage changed: bool [batch, height, width]."""
    return (stage(images, SEED).numpy() != images).any(axis=-1)


def rectangle_of(mask):
    """(height, width) of what is set, which must be a full rectangle."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    return len(rows), len(columns)


def test_rectangles_have_the_areas_and_aspects_asked_for():
    shape = tf.constant([4000, 100, 100, 3])
    found, fits = draw_rectangles(shape, SEED, area=(0.02, 0.2), aspect=(0.5, 2.0))
    assert fits.numpy().all()
    height, width = found.height.numpy(), found.width.numpy()
    areas, aspects = height * width / 10_000, np.log2(width / height)
    assert areas.min() > 0.018
    assert areas.max() < 0.21
    assert areas.mean() == pytest.approx(0.11, abs=0.003)
    assert np.abs(aspects).max() < 1.1
    assert aspects.mean() == pytest.approx(0, abs=0.05)
    top, left = found.top.numpy(), found.left.numpy()
    for place, side in ((top, height), (left, width)):
        assert place.min() == 0
        assert (place + side).max() == 100
        # Anywhere that it fits, alike.
        assert (place / np.maximum(100 - side, 1)).mean() == pytest.approx(0.5, abs=0.02)


def test_a_rectangle_that_can_not_fit_is_none():
    _, fits = draw_rectangles(tf.constant([50, 8, 8, 3]), SEED, area=(0.9, 0.9), aspect=(9.0, 9.0))
    assert not fits.numpy().any()
    stage = RandomErasing(1.0, area=[0.9, 0.9], aspect=[9.0, 9.0])
    np.testing.assert_array_equal(stage(IMAGES, SEED), IMAGES)


@pytest.mark.parametrize("fill", ["noise", "black", "mean"])
def test_erasing_replaces_one_rectangle(fill):
    stage = RandomErasing(0.5, area=[0.1, 0.3], aspect=[0.5, 2.0], fill=fill)
    masks = changed(stage)
    is_erased = masks.any(axis=(1, 2))
    assert is_erased.mean() == pytest.approx(0.5, abs=0.07)
    found = stage(IMAGES, SEED).numpy()
    for number in np.flatnonzero(is_erased)[:40]:
        height, width = rectangle_of(masks[number])
        assert 0.08 < height * width / 600 < 0.33
        inside = found[number][masks[number]]
        if fill == "black":
            assert (inside == 0).all()
        elif fill == "mean":
            wanted = np.broadcast_to(IMAGES[number].mean(axis=(0, 1)), inside.shape)
            np.testing.assert_allclose(inside, wanted, rtol=1e-5)
        else:
            assert inside.std() > 40
            assert len(np.unique(inside)) > 20


def test_noise_of_erasing_takes_all_values_alike():
    images = np.full((200, 20, 20, 3), -1, np.float32)
    found = RandomErasing(1.0)(images, SEED).numpy()
    values = found[found >= 0]
    assert set(np.unique(values)) == set(range(256))
    assert values.mean() == pytest.approx(127.5, abs=1)


def test_crop_erase_keeps_a_rectangle_in_place():
    stage = RandomCropErase(0.4, area=[0.2, 0.6])
    found = stage(IMAGES, SEED).numpy()
    kept = (found == IMAGES).all(axis=-1)
    assert (found[~kept] == 0).all()
    is_cropped = ~kept.all(axis=(1, 2))
    assert is_cropped.mean() == pytest.approx(0.4, abs=0.07)
    for mask in kept[is_cropped][:40]:
        height, width = rectangle_of(mask)
        assert 0.17 < height * width / 600 < 0.65


@pytest.mark.parametrize(("ratio", "rotation"), [(0.5, 0.0), (0.4, 90.0)])
def test_grid_covers_the_square_of_its_ratio(ratio, rotation):
    images = np.full((300, 60, 60, 3), 255, np.float32)
    stage = GridMask(1.0, ratio=[ratio, ratio], unit=[0.1, 0.2], rotation=rotation)
    masks = changed(stage, images)
    assert masks.mean() == pytest.approx(ratio**2, abs=0.015)
    # The grid lies elsewhere in each.
    assert len({mask.tobytes() for mask in masks}) > 290


def test_grid_without_rotation_is_made_of_squares():
    images = np.full((1, 40, 40, 3), 255, np.float32)
    stage = GridMask(1.0, ratio=[0.5, 0.5], unit=[0.25, 0.25], rotation=0.0)
    mask = changed(stage, images)[0]
    rows, columns = mask.any(axis=1), mask.any(axis=0)
    np.testing.assert_array_equal(mask, rows[:, None] & columns[None])
    assert rows.sum() == columns.sum() == 20
    np.testing.assert_array_equal(rows[:30], rows[10:])


def test_grid_with_probability_and_noise():
    images = np.full((400, 16, 16, 3), -1, np.float32)
    found = GridMask(0.3, ratio=[0.5, 0.5], fill="noise")(images, SEED).numpy()
    touched = (found >= 0).any(axis=(1, 2, 3))
    assert touched.mean() == pytest.approx(0.3, abs=0.07)
    assert found[found >= 0].mean() == pytest.approx(127.5, abs=2)


@pytest.mark.parametrize("part", [RandomErasing, RandomCropErase])
def test_ranges_are_checked(part):
    with pytest.raises(InputError, match=r"area \[0\.5, 0\.2\] must ascend within"):
        part(area=[0.5, 0.2])
    with pytest.raises(InputError, match=r"aspect \[0, 2\] must ascend within \[0\.01, 100\]"):
        part(aspect=[0, 2])


def test_ranges_of_a_grid_are_checked():
    with pytest.raises(InputError, match=r"grid_mask: ratio \[0\.5, 1\.5\] must ascend within"):
        GridMask(ratio=[0.5, 1.5])
