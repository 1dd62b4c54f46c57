"""MixUp and CutMix: who is mixed with whom, how much, and that the labels say so."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.property_tests import examples
from tfface.data.augment.mixing import (
    BetaShares,
    CutMix,
    MixUp,
    OneClassCutMix,
    any_partner,
    partner_of_same_identity,
)

SEED = tf.constant([1, 2])
# Every image has one value of its own, its number.
NUMBERS = np.arange(96)
IMAGES = np.broadcast_to(NUMBERS[:, None, None, None], (96, 24, 36, 3)).astype(np.float32)
# Labels that tell the number: distinct ones.
LABELS = tf.constant(NUMBERS + 1000, tf.int32)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_have_the_moments_of_their_distribution(alpha):
    shares = BetaShares(alpha).draw(20_000, SEED).numpy()
    assert shares.min() >= 0
    assert shares.max() <= 1
    assert shares.mean() == pytest.approx(0.5, abs=0.01)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)
    draws = np.random.default_rng(0).beta(alpha, alpha, 20_000)
    for quantile in (0.1, 0.3, 0.7, 0.9):
        wanted = np.quantile(draws, quantile)
        assert np.quantile(shares, quantile) == pytest.approx(wanted, abs=0.02)


@given(st.integers(1, 40), st.integers(0, 2**31 - 1))
@examples(25)
def test_everybody_is_somebodys_partner(count, seed):
    partners = any_partner(count, tf.constant([seed, 1])).numpy()
    assert sorted(partners) == list(range(count))
    assert count == 1 or (partners != np.arange(count)).all()


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(0, 2**31 - 1))
@examples(40)
def test_partners_of_the_same_identity(labels, seed):
    labels = np.array(labels, np.int32)
    partners = partner_of_same_identity(tf.constant(labels), tf.constant([seed, 1])).numpy()
    assert sorted(partners) == list(range(len(labels)))
    np.testing.assert_array_equal(labels[partners], labels)
    is_alone = np.bincount(labels)[labels] == 1
    np.testing.assert_array_equal(partners == np.arange(len(labels)), is_alone)


def test_partners_change_with_the_seed():
    labels = tf.zeros([8], tf.int32)
    found = {
        tuple(partner_of_same_identity(labels, tf.constant([n, 0])).numpy()) for n in range(20)
    }
    assert len(found) > 15


def test_mixup_lays_two_images_over_each_other():
    images, labels = MixUp(1.0)(IMAGES, LABELS, SEED)
    identities, others, shares = (labels[k].numpy() for k in ("identities", "others", "shares"))
    np.testing.assert_array_equal(identities, LABELS)
    assert (others != identities).all()
    wanted = shares * NUMBERS + (1 - shares) * (others - 1000)
    np.testing.assert_allclose(images.numpy().min(axis=(1, 2, 3)), wanted, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(images.numpy().max(axis=(1, 2, 3)), wanted, rtol=1e-5, atol=1e-4)
    assert 0.2 < shares.std() < 0.4


def test_cutmix_pastes_one_rectangle_of_the_other():
    images, labels = CutMix(1.0)(IMAGES, LABELS, SEED)
    images = images.numpy()[..., 0]
    others, shares = labels["others"].numpy(), labels["shares"].numpy()
    areas = []
    for number in range(96):
        pasted = images[number] != number
        assert (images[number][pasted] == others[number] - 1000).all()
        assert shares[number] == pytest.approx(1 - pasted.mean(), abs=1e-6)
        rows, columns = pasted.any(axis=1), pasted.any(axis=0)
        np.testing.assert_array_equal(pasted, rows[:, None] & columns[None])
        assert (np.diff(np.flatnonzero(rows)) == 1).all()
        # The image's aspect, where the border doesn't cut it.
        if rows.any() and not (rows[0] or rows[-1] or columns[0] or columns[-1]):
            assert columns.sum() == pytest.approx(1.5 * rows.sum(), abs=1.5)
        areas.append(pasted.mean())
    assert 0.15 < np.mean(areas) < 0.5
    assert np.min(areas) < 0.05
    assert np.max(areas) > 0.6


@pytest.mark.parametrize("part", [MixUp, CutMix])
def test_some_images_stay_with_a_share_of_one(part):
    images, labels = part(1.0, probability=0.5)(IMAGES, LABELS, SEED)
    is_whole = (images.numpy() == IMAGES).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(labels["shares"].numpy() == 1, is_whole)
    assert is_whole.mean() == pytest.approx(0.5, abs=0.16)


@pytest.mark.parametrize("part", [MixUp, CutMix])
def test_whether_an_image_is_mixed_does_not_depend_on_its_partner(part):
    mix, of_mixed = part(1.0, probability=0.5), []
    for number in range(20):
        _, labels = mix(IMAGES, LABELS, tf.constant([number, 3]))
        mixed = labels["shares"].numpy() < 1
        of_mixed.append(mixed[labels["others"].numpy() - 1000][mixed])
    assert np.concatenate(of_mixed).mean() == pytest.approx(0.5, abs=0.07)


def test_one_class_cutmix_pastes_from_the_same_identity():
    labels = tf.constant(NUMBERS // 3, tf.int32)
    found = OneClassCutMix(1.0, probability=1.0)(IMAGES, labels, SEED).numpy()[..., 0]
    num_pasted = 0
    for number in range(96):
        sources = set(np.unique(found[number]).astype(int))
        assert len(sources) <= 2
        assert {source // 3 for source in sources} == {number // 3}
        num_pasted += sources != {number}
    assert num_pasted > 80


def test_one_class_cutmix_leaves_the_only_image_of_somebody_alone():
    found = OneClassCutMix(1.0, probability=1.0)(IMAGES, LABELS, SEED)
    np.testing.assert_array_equal(found, IMAGES)


def test_one_class_cutmix_with_probability():
    labels = tf.zeros([96], tf.int32)
    found = OneClassCutMix(4.0, probability=0.25)(IMAGES, labels, SEED).numpy()
    assert (found == IMAGES).all(axis=(1, 2, 3)).mean() == pytest.approx(0.75, abs=0.13)
