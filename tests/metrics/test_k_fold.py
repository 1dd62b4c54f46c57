"""Accuracy against the reference protocol as a literal loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfface.errors import InputError
from tfface.metrics.k_fold import fold_accuracy, judge, k_fold_accuracy, k_fold_thresholds


def reference_accuracy(distance, is_genuine, num_folds):
    """The protocol as its sources write it: loops over folds and thresholds."""
    thresholds = np.arange(0, 4, 0.01)
    n = len(distance)
    sizes = np.full(num_folds, n // num_folds)
    sizes[: n % num_folds] += 1
    folds, chosen, start = [], [], 0
    for size in sizes:
        test = np.zeros(n, bool)
        test[start : start + size] = True
        start += size
        train = [np.mean((distance[~test] < t) == is_genuine[~test]) for t in thresholds]
        best = thresholds[np.argmax(train)]
        chosen.append(best)
        folds.append(np.mean((distance[test] < best) == is_genuine[test]))
    return folds, np.mean(chosen)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(23, 60), st.integers(2, 10))
def test_accuracy_is_the_reference_protocol(seed, num_pairs, num_folds):
    rng = np.random.default_rng(seed)
    is_genuine = rng.random(num_pairs) < 0.5
    # On the grid of thresholds itself, where `<` and `<=` part.
    distance = rng.integers(0, 400, num_pairs) * 0.01
    distance = np.where(is_genuine, distance / 2, distance)
    accuracy, threshold = k_fold_accuracy(distance, is_genuine, num_folds)
    folds, expected = reference_accuracy(distance, is_genuine, num_folds)
    np.testing.assert_allclose(accuracy.folds, folds, rtol=0, atol=1e-12)
    assert accuracy.mean == pytest.approx(np.mean(folds), abs=1e-12)
    assert accuracy.std == pytest.approx(np.std(folds), abs=1e-12)
    assert threshold == pytest.approx(expected, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(20, 60), st.integers(2, 10))
def test_answers_are_those_of_the_folds(seed, num_pairs, num_folds):
    rng = np.random.default_rng(seed)
    is_genuine = np.arange(num_pairs) % 2 == 0
    distance = rng.integers(0, 40, num_pairs) * 0.1
    thresholds = k_fold_thresholds(distance, is_genuine, num_folds)
    is_right = judge(distance, thresholds) == is_genuine
    accuracy, mean_threshold = k_fold_accuracy(distance, is_genuine, num_folds)
    assert fold_accuracy(is_right, num_folds) == accuracy
    assert np.mean(thresholds) == mean_threshold


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(20, 60), st.integers(2, 10))
def test_the_order_of_pairs_within_folds_does_not_matter(seed, num_pairs, num_folds):
    rng = np.random.default_rng(seed)
    is_genuine = np.arange(num_pairs) % 2 == 0
    distance = rng.integers(0, 40, num_pairs) * 0.1
    order = np.concatenate(
        [rng.permutation(fold) for fold in np.array_split(np.arange(num_pairs), num_folds)]
    )
    shuffled = k_fold_accuracy(distance[order], is_genuine[order], num_folds)
    assert shuffled == k_fold_accuracy(distance, is_genuine, num_folds)


def test_bad_input():
    distance, is_genuine = np.arange(20) / 10, np.arange(20) < 10
    with pytest.raises(InputError, match="the distance of pair 3 is nan, not a number"):
        k_fold_accuracy(np.where(np.arange(20) == 3, np.nan, distance), is_genuine)
    with pytest.raises(InputError, match="20 genuine and 0 impostor pairs"):
        k_fold_accuracy(distance, np.ones(20, bool))
    with pytest.raises(InputError, match="expected one distance and one label for each pair"):
        k_fold_accuracy(distance, is_genuine[:-1])
    for num_folds in (0, 1, 21):
        with pytest.raises(InputError, match=rf"{num_folds} folds of 20 pairs: expected at least"):
            k_fold_accuracy(distance, is_genuine, num_folds)
