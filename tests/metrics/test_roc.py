"""The ROC figures against their definitions, pair by pair, with many ties among them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfface.errors import InputError
from tfface.metrics import roc as roc_module
from tfface.metrics.roc import auc, eer, roc, tar_at_far


@st.composite
def pairs(draw):
    """Similarities on a coarse grid (so that many are equal) and labels of both kinds."""
    grid = st.integers(-6, 6).map(lambda value: value / 4)
    genuine = draw(st.lists(grid, min_size=1, max_size=25))
    impostor = draw(st.lists(grid, min_size=1, max_size=25))
    order = draw(st.permutations(range(len(genuine) + len(impostor))))
    similarity = np.array(genuine + impostor)[order]
    is_genuine = np.array([True] * len(genuine) + [False] * len(impostor))[order]
    return similarity, is_genuine


@given(pairs())
def test_each_point_counts_the_pairs_at_or_above_its_threshold(drawn):
    similarity, is_genuine = drawn
    curve = roc(similarity, is_genuine)
    for threshold, false_accepts, true_accepts in zip(
        curve.threshold, curve.false_accepts, curve.true_accepts, strict=True
    ):
        accepted = similarity >= threshold
        assert true_accepts == np.count_nonzero(accepted & is_genuine)
        assert false_accepts == np.count_nonzero(accepted & ~is_genuine)
    assert curve.far[0] == curve.tar[0] == 0
    assert curve.far[-1] == curve.tar[-1] == 1


@given(pairs())
def test_auc_is_the_share_of_genuine_impostor_comparisons_won(drawn):
    similarity, is_genuine = drawn
    genuine, impostor = similarity[is_genuine], similarity[~is_genuine]
    won = [float(g > i) + (g == i) / 2 for g in genuine for i in impostor]
    assert auc(roc(similarity, is_genuine)) == pytest.approx(np.mean(won), abs=1e-12)


@given(pairs(), st.sampled_from([1.0, 0.5, 1 / 3, 0.29, 0.1, 0.07, 0.01, 1e-6]))
def test_tar_at_far_is_the_best_threshold_that_keeps_the_far(drawn, far):
    similarity, is_genuine = drawn
    num_impostor = np.count_nonzero(~is_genuine)
    point = tar_at_far(roc(similarity, is_genuine), far)

    accepted = similarity >= point.threshold_cosine
    assert point.measured_far == np.mean(accepted[~is_genuine]) <= far
    assert point.tar == np.mean(accepted[is_genuine])
    assert point.sufficient == (1 / num_impostor <= far)

    allowed = [
        np.mean(similarity[is_genuine] >= threshold)
        for threshold in [*similarity, np.inf]
        if np.mean(similarity[~is_genuine] >= threshold) <= far
    ]
    assert point.tar == max(allowed)


@given(pairs())
def test_eer_is_where_the_two_error_rates_cross(drawn):
    similarity, is_genuine = drawn
    curve = roc(similarity, is_genuine)
    # Walk finely along the straight lines between the points, as the definition draws them.
    steps = np.linspace(0, len(curve.far) - 1, 20_000)
    far = np.interp(steps, np.arange(len(curve.far)), curve.far)
    frr = np.interp(steps, np.arange(len(curve.far)), 1 - curve.tar)
    nearest = np.argmin(np.abs(far - frr))
    assert eer(curve) == pytest.approx(far[nearest], abs=3e-3)


@given(pairs())
def test_figures_depend_on_the_order_of_similarities_only(drawn):
    similarity, is_genuine = drawn
    curve, stretched = roc(similarity, is_genuine), roc(np.exp(3 * similarity) - 7, is_genuine)
    assert auc(curve) == auc(stretched)
    assert eer(curve) == eer(stretched)
    for far in (0.5, 0.1, 0.01):
        assert tar_at_far(curve, far).tar == tar_at_far(stretched, far).tar


@given(pairs())
def test_trading_the_kinds_of_pair_mirrors_the_curve(drawn):
    similarity, is_genuine = drawn
    mirrored = roc(-similarity, ~is_genuine)
    assert auc(mirrored) == pytest.approx(auc(roc(similarity, is_genuine)), abs=1e-12)
    assert eer(mirrored) == pytest.approx(eer(roc(similarity, is_genuine)), abs=1e-12)


@given(pairs(), st.randoms(use_true_random=False))
def test_the_order_of_pairs_does_not_matter(drawn, random):
    similarity, is_genuine = drawn
    order = random.sample(range(len(similarity)), len(similarity))
    curve, shuffled = roc(similarity, is_genuine), roc(similarity[order], is_genuine[order])
    for name in ("threshold", "false_accepts", "true_accepts"):
        assert np.array_equal(getattr(curve, name), getattr(shuffled, name))


def test_a_curve_of_many_points_is_summed_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    similarity, is_genuine = rng.random(1000), rng.random(1000) < 0.3
    curve = roc(similarity, is_genuine)
    whole = auc(curve)
    for points in (1, 7, 1000, 1001):
        monkeypatch.setattr(roc_module, "_POINTS", points)
        assert auc(curve) == whole


def test_perfect_separation():
    curve = roc(np.array([0.9, 0.8, 0.1, 0.2]), np.array([True, True, False, False]))
    assert auc(curve) == 1
    assert eer(curve) == 0
    point = tar_at_far(curve, 0.5)
    assert (point.tar, point.measured_far, point.threshold_cosine) == (1, 0.5, 0.2)


def test_far_0_threshold_lies_above_an_impostor_that_is_the_most_similar_pair():
    point = tar_at_far(roc(np.array([0.9, 0.8, 0.9]), np.array([True, True, False])), 1e-3)
    assert point.tar == point.measured_far == 0
    assert point.threshold_cosine > 0.9
    assert not point.sufficient


def test_bad_input():
    with pytest.raises(InputError, match="2 genuine and 0 impostor pairs"):
        roc(np.array([0.1, 0.2]), np.array([True, True]))
    with pytest.raises(InputError, match="similarity of pair 1 is nan"):
        roc(np.array([0.1, np.nan]), np.array([True, False]))
    with pytest.raises(InputError, match="one similarity and one label"):
        roc(np.array([0.1, 0.2, 0.3]), np.array([True, False]))
    curve = roc(np.array([0.1, 0.2]), np.array([True, False]))
    for far in (0, 1.5, -0.1):
        with pytest.raises(InputError, match=r"expected one in \(0, 1\]"):
            tar_at_far(curve, far)
