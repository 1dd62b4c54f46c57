"""Replicates against scikit-learn with sample weights; intervals against SciPy and the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import norm
from sklearn import metrics

from tests.metrics.test_roc import where_errors_are_equal
from tests.property_tests import examples
from tfface.metrics import bootstrap
from tfface.metrics.bootstrap import (
    SortedPairs,
    bootstrap_intervals,
    draw_weights,
    replicate_metrics,
    share_kept,
)

FARS = (0.5, 0.1, 0.07, 0.01)


@st.composite
def sets(draw):
    """Pairs with many ties, identities in several pairs, and predictions."""
    num_pairs = draw(st.integers(2, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    is_genuine = rng.random(num_pairs) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    is_genuine[:2] = True, False
    similarity = (
        rng.integers(-3, 4, num_pairs) / 4 + draw(st.sampled_from([0, 0.25, 5])) * is_genuine
    )
    first = rng.integers(0, 6, num_pairs)
    second = np.where(is_genuine, first, (first + rng.integers(1, 6, num_pairs)) % 6)
    is_correct = rng.random(num_pairs) < 0.7
    return similarity, is_genuine, is_correct, (first, second)


def expected_metrics(similarity, is_genuine, is_correct, weights=None) -> np.ndarray:
    """The metrics of one replicate, from scikit-learn's curve with the pairs' weights."""
    far, tar, _ = metrics.roc_curve(
        is_genuine, similarity, sample_weight=weights, drop_intermediate=False
    )
    accuracy, crossing = np.average(is_correct, weights=weights), where_errors_are_equal(far, tar)
    steps = np.searchsorted(far, FARS, side="right") - 1
    return np.array([accuracy, crossing, metrics.auc(far, tar), *tar[steps]])


def all_weights(pairs, weights):
    """The weight of each pair in the set's own order: int [num_pairs, replicates]."""
    parts = [weights(row, row + 1) for row in range(pairs.num_pairs)]
    by_rank = np.concatenate([row for part in parts for row in part])
    by_pair = np.empty_like(by_rank)
    by_pair[pairs.rows] = by_rank
    return by_pair


@examples(100)
@given(sets(), st.booleans(), st.sampled_from([3, 10, 2048]))
def test_replicates_equal_the_weighted_metrics(drawn, by_identity, rows_at_a_time):
    similarity, is_genuine, is_correct, identities = drawn
    with pytest.MonkeyPatch.context() as patch:
        # Small, so that a set has several chunks.
        patch.setattr(bootstrap, "_CHUNK_ROWS", rows_at_a_time)
        patch.setattr(bootstrap, "_MAX_ROWS", 4 * rows_at_a_time)
        pairs = SortedPairs(similarity, is_genuine, is_correct)
        [weights] = draw_weights(pairs, identities if by_identity else None, 5, seed=5)
        metrics_found = replicate_metrics(pairs, weights, FARS)
    counts = all_weights(pairs, weights)
    for found, of_pairs in zip(metrics_found.T, counts.T, strict=True):
        if of_pairs[is_genuine].any() and of_pairs[~is_genuine].any():
            expected = expected_metrics(similarity, is_genuine, is_correct, of_pairs)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        else:
            assert np.isnan(found).all()


def test_weights_by_identity_are_shared_by_all_pairs_of_an_identity():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 30, 400)
    is_genuine = rng.random(400) < 0.5
    second = np.where(is_genuine, first, (first + rng.integers(1, 30, 400)) % 30)
    pairs = SortedPairs(rng.random(400), is_genuine, is_genuine)
    [weights] = draw_weights(pairs, (first, second), 500, seed=0)
    counts = all_weights(pairs, weights).astype(int)
    for identity in range(30):
        of_identity = counts[is_genuine & (first == identity)]
        assert np.all(of_identity == of_identity[:1])
    # An identity of weight 0 removes its impostor pairs, except where the weight was replaced by 1.
    assert np.all(counts[~is_genuine].min(axis=0) == 0)
    again = all_weights(pairs, next(draw_weights(pairs, (second, first), 500, seed=0)))
    assert np.array_equal(counts, again)
    other = all_weights(pairs, next(draw_weights(pairs, (first, second), 500, seed=1)))
    assert not np.array_equal(counts, other)


@pytest.mark.parametrize("kept", [1, 0.74, 0.41421])
def test_mean_and_variance_of_weights(kept):
    table = np.frombuffer(bootstrap._weight_table(kept), np.uint8).astype(float)
    assert len(table) == 256
    assert table.mean() == 1
    assert table.var() == pytest.approx(kept, abs=0.03 if kept < 1 else 0)


def test_share_kept():
    people = np.arange(200)
    assert share_kept(people[:100], people[100:]) == pytest.approx(np.sqrt(2) - 1)
    many = np.random.default_rng(0).integers(0, 10, (2, 1000))
    assert 0.98 < share_kept(*many) < 1


def test_blocks_of_replicates(monkeypatch):
    monkeypatch.setattr(bootstrap, "_MAX_BYTES", 1)
    rng = np.random.default_rng(0)
    pairs = SortedPairs(rng.random(50), np.arange(50) < 25, np.ones(50, bool))
    identities = np.arange(50), np.where(np.arange(50) < 25, np.arange(50), np.arange(50) - 1)
    blocks = list(draw_weights(pairs, identities, 300, seed=0))
    sizes = [weights(0, 50)[0].shape[1] for weights in blocks]
    assert sizes == [128, 128, 44]
    assert not np.array_equal(blocks[0](0, 50)[0], blocks[1](0, 50)[0])


def test_long_segments_are_summed_in_pieces():
    """Equal similarities have one segment, perfect separation two."""
    is_genuine = np.arange(60_000) % 2 == 0
    for similarity, expected in ((np.ones(60_000), 0.5), (is_genuine.astype(float), 1)):
        found = bootstrap_intervals(similarity, is_genuine, is_genuine, [0.1], num_replicates=16)
        assert found.auc == [expected, expected]
        assert found.eer == [1 - expected, 1 - expected]
        assert found.accuracy[0] < 0.5 < found.accuracy[1]
        assert found.tar_at_far == [[0, 0] if expected < 1 else [1, 1]]


def test_too_many_pairs_have_no_intervals(monkeypatch):
    monkeypatch.setattr(bootstrap, "MAX_PAIRS", 9)
    similarity, is_genuine = np.arange(10.0), np.arange(10) < 5
    assert bootstrap_intervals(similarity, is_genuine, is_genuine, [0.1]) is None
    assert bootstrap_intervals(similarity[1:], is_genuine[1:], is_genuine[1:], [0.1]) is not None


def made_set(rng, num_identities, share):
    """Similarities with `share` of the variance from the identities.

    Genuine pairs have mean 2, impostor pairs mean 0.
    """
    people, others = rng.normal(size=(2, num_identities))
    of_genuine = rng.integers(0, num_identities, 300)
    a = rng.integers(0, num_identities, 300)
    b = (a + rng.integers(1, num_identities, 300)) % num_identities
    noise = np.sqrt(1 - share) * rng.normal(size=(2, 300))
    genuine = 2 + np.sqrt(share) * people[of_genuine] + noise[0]
    impostor = np.sqrt(share / 2) * (others[a] + others[b]) + noise[1]
    identities = np.concatenate([of_genuine, a]), np.concatenate([of_genuine, b])
    return np.concatenate([genuine, impostor]), np.arange(600) < 300, identities


# For normal similarities: accuracy at 1, EER, AUC, TAR at FAR 0.1.
TRUTH = [norm.cdf(1), norm.sf(1), norm.cdf(2 / np.sqrt(2)), norm.sf(norm.isf(0.1) - 2)]


@pytest.mark.parametrize(
    ("num_identities", "share", "by_identity", "least", "most"),
    [
        (3000, 0, False, 0.92, 0.98),
        (3000, 0, True, 0.92, 0.98),
        # With few identities in all pairs, intervals by pair are far too narrow.
        (40, 0.6, False, 0.3, 0.75),
        (40, 0.6, True, 0.85, 0.98),
    ],
)
def test_coverage_of_intervals(num_identities, share, by_identity, least, most):
    rng = np.random.default_rng(1)
    holds = []
    for _ in range(300):
        similarity, is_genuine, identities = made_set(rng, num_identities, share)
        is_correct = (similarity >= 1) == is_genuine
        found = bootstrap_intervals(
            similarity,
            is_genuine,
            is_correct,
            [0.1],
            identities if by_identity else None,
            num_replicates=200,
        )
        assert found.by == ("identity" if by_identity else "pair")
        intervals = [found.accuracy, found.eer, found.auc, *found.tar_at_far]
        holds.append(
            [low <= true <= high for (low, high), true in zip(intervals, TRUTH, strict=True)]
        )
    for share_held in np.mean(holds, axis=0):
        assert least <= share_held <= most


def test_intervals_by_pair_match_scipy():
    """SciPy's replicates have as many pairs as the set, ours a random number.

    With n replicates, the standard error of an end is 0.68 / sqrt(n) of the width (for a normal
    metric): the ends differ by 0.024 (root mean square).
    """
    similarity, is_genuine, _ = made_set(np.random.default_rng(2), 3000, 0)
    is_correct = (similarity >= 1) == is_genuine
    found = bootstrap_intervals(similarity, is_genuine, is_correct, FARS, num_replicates=4000)
    expected = stats.bootstrap(
        (similarity, is_genuine, is_correct),
        expected_metrics,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=1000,
        random_state=0,
    ).confidence_interval
    low, high = np.transpose([found.accuracy, found.eer, found.auc, *found.tar_at_far])
    width = expected.high - expected.low
    np.testing.assert_allclose((low - expected.low) / width, 0, atol=0.1)
    np.testing.assert_allclose((high - expected.high) / width, 0, atol=0.1)


def test_intervals_by_identity_are_wider_for_repeated_identities():
    similarity, is_genuine, identities = made_set(np.random.default_rng(0), 40, 0.6)
    is_correct = (similarity >= 1) == is_genuine
    by_pair, by_identity = (
        bootstrap_intervals(similarity, is_genuine, is_correct, [0.1], known)
        for known in (None, identities)
    )
    for name in ("accuracy", "eer", "auc"):
        assert np.ptp(getattr(by_identity, name)) > 1.4 * np.ptp(getattr(by_pair, name))
    assert np.ptp(by_identity.tar_at_far[0]) > 1.4 * np.ptp(by_pair.tar_at_far[0])
