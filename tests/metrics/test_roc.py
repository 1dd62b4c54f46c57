"""ROC, AUC, EER and TAR@FAR against scikit-learn, with many ties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import roc_auc_score, roc_curve

from tfface.errors import InputError
from tfface.metrics import roc as roc_module
from tfface.metrics.roc import auc, eer, roc, tar_at_far


@st.composite
def pairs(draw):
    """Similarities, many of them equal and some nearly so, and labels of both kinds."""
    grid = st.integers(-6, 6).map(lambda value: value / 4)
    scores = st.lists(
        grid | st.floats(-1, 1, width=32, allow_subnormal=False), min_size=1, max_size=25
    )
    genuine, impostor = draw(scores), draw(scores)
    order = draw(st.permutations(range(len(genuine) + len(impostor))))
    similarity = np.array(genuine + impostor, draw(st.sampled_from(["float32", "float64"])))[order]
    is_genuine = np.array([True] * len(genuine) + [False] * len(impostor))[order]
    return similarity, is_genuine


def where_errors_are_equal(far: np.ndarray, tar: np.ndarray) -> float:
    """Returns the FAR where the piecewise linear curve meets FAR = 1 - TAR."""
    points = np.arange(len(far))

    def difference(position: float) -> float:
        return np.interp(position, points, far) + np.interp(position, points, tar) - 1

    return np.interp(brentq(difference, 0, points[-1], xtol=1e-13), points, far)


@given(pairs())
def test_the_curve_is_that_of_scikit_learn(drawn):
    similarity, is_genuine = drawn
    curve = roc(similarity, is_genuine)
    far, tar, threshold = roc_curve(is_genuine, similarity, drop_intermediate=False)
    np.testing.assert_array_equal(curve.far, far)
    np.testing.assert_array_equal(curve.tar, tar)
    # Its first threshold, which accepts nothing, is infinite.
    np.testing.assert_array_equal(curve.threshold[1:], threshold[1:])
    assert curve.threshold[0] > similarity.max()
    assert curve.false_accepts[-1] == curve.num_impostor == np.count_nonzero(~is_genuine)
    assert curve.true_accepts[-1] == curve.num_genuine == np.count_nonzero(is_genuine)


@given(pairs())
def test_auc_is_that_of_scikit_learn(drawn):
    similarity, is_genuine = drawn
    expected = roc_auc_score(is_genuine, similarity)
    assert auc(roc(similarity, is_genuine)) == pytest.approx(expected, abs=1e-12)


@given(pairs())
def test_eer_interpolates_linearly(drawn):
    similarity, is_genuine = drawn
    far, tar, _ = roc_curve(is_genuine, similarity, drop_intermediate=False)
    expected = where_errors_are_equal(far, tar)
    assert eer(roc(similarity, is_genuine)) == pytest.approx(expected, abs=1e-12)


@given(pairs(), st.sampled_from([1.0, 0.5, 1 / 3, 0.29, 0.1, 0.07, 0.01, 1e-6]))
def test_tar_at_far_is_the_last_step_within_the_far(drawn, asked):
    """The point of scikit-learn's curve with the highest FAR <= `asked`, and then the highest TAR.

    This is an order statistic: with n the largest number for which n / impostors <= `asked`, pairs
    above the (n + 1)-th highest impostor are accepted. Linear interpolation (`numpy.interp`) is
    never lower.
    """
    similarity, is_genuine = drawn
    far, tar, threshold = roc_curve(is_genuine, similarity, drop_intermediate=False)
    step = np.searchsorted(far, asked, side="right") - 1
    point = tar_at_far(roc(similarity, is_genuine), asked)
    assert (point.tar, point.measured_far) == (tar[step], far[step])
    assert point.tar <= np.interp(asked, far, tar)
    if step > 0:
        assert point.threshold_cosine == threshold[step]

    impostor = np.sort(similarity[~is_genuine])[::-1]
    allowed = max(n for n in range(len(impostor) + 1) if n / len(impostor) <= asked)
    assert point.sufficient == (allowed > 0)
    first_rejected = impostor[allowed] if allowed < len(impostor) else -np.inf
    # Compared in the type of the similarities.
    accepted = similarity >= point.threshold_cosine
    np.testing.assert_array_equal(accepted, similarity > first_rejected)


def test_auc_is_summed_in_parts(monkeypatch):
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


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_threshold_at_far_0_is_above_the_most_similar_impostor(dtype):
    similarity = np.array([0.9, 0.8, 0.9], dtype)
    point = tar_at_far(roc(similarity, np.array([True, True, False])), 1e-3)
    assert point.tar == point.measured_far == 0
    assert not np.any(similarity >= point.threshold_cosine)
    assert not point.sufficient


def test_pairs_of_one_kind():
    """scikit-learn warns and returns NaN; we raise an error."""
    similarity, is_genuine = np.array([0.1, 0.2]), np.array([True, True])
    with pytest.warns(UndefinedMetricWarning, match="No negative samples"):
        assert np.isnan(roc_curve(is_genuine, similarity)[0]).all()
    with pytest.raises(InputError, match="2 genuine and 0 impostor pairs"):
        roc(similarity, is_genuine)
    with pytest.raises(InputError, match="0 genuine and 2 impostor pairs"):
        roc(similarity, ~is_genuine)


def test_bad_input():
    with pytest.raises(InputError, match="similarity of pair 1 is nan"):
        roc(np.array([0.1, np.nan]), np.array([True, False]))
    with pytest.raises(InputError, match="one similarity and one label"):
        roc(np.array([0.1, 0.2, 0.3]), np.array([True, False]))
    curve = roc(np.array([0.1, 0.2]), np.array([True, False]))
    for far in (0, 1.5, -0.1):
        with pytest.raises(InputError, match=r"expected a number in \(0, 1\]"):
            tar_at_far(curve, far)
