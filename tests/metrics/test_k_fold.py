"""Accuracy against the reference protocol with scikit-learn's folds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score
from sklearn.model_selection import KFold

from tests.property_tests import examples
from tfface.errors import InputError
from tfface.metrics.k_fold import fold_accuracy, k_fold_accuracy, k_fold_thresholds, predict_folds


@st.composite
def pair_sets(draw):
    """Distances on the grid of thresholds, where `<` and `<=` differ, labels and folds."""
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    num_pairs = draw(st.integers(20, 60))
    is_genuine = rng.random(num_pairs) < 0.5
    is_genuine[:2] = True, False
    distance = rng.integers(0, 400, num_pairs) * 0.01
    distance = np.where(is_genuine, distance / draw(st.sampled_from([1, 2, 9])), distance)
    return distance, is_genuine, draw(st.integers(2, 10))


def expected_folds(distance, is_genuine, num_folds):
    """As InsightFace's `verification.py`: yields (threshold, labels, predictions)."""
    thresholds = np.arange(0, 4, 0.01)
    for training, test in KFold(num_folds).split(distance):
        accuracy = [np.mean((distance[training] < t) == is_genuine[training]) for t in thresholds]
        threshold = thresholds[np.argmax(accuracy)]
        yield threshold, is_genuine[test], distance[test] < threshold


@examples(40)
@given(pair_sets())
def test_accuracy_is_the_reference_protocol(drawn):
    distance, is_genuine, num_folds = drawn
    expected, labels, predictions = zip(*expected_folds(*drawn), strict=True)
    folds = [accuracy_score(*fold) for fold in zip(labels, predictions, strict=True)]

    thresholds = k_fold_thresholds(*drawn)
    np.testing.assert_array_equal(thresholds, expected)
    predicted = predict_folds(distance, thresholds)
    np.testing.assert_array_equal(predicted, np.concatenate(predictions))
    accuracy, mean_threshold = k_fold_accuracy(*drawn)
    assert accuracy.folds == pytest.approx(folds, abs=1e-12)
    assert accuracy.mean == pytest.approx(np.mean(folds), abs=1e-12)
    assert accuracy.std == pytest.approx(np.std(folds), abs=1e-12)
    assert mean_threshold == pytest.approx(np.mean(expected), abs=1e-12)
    assert fold_accuracy(predicted == is_genuine, num_folds) == accuracy


@examples(40)
@given(pair_sets(), st.data())
def test_a_fold_does_not_affect_its_own_threshold(drawn, data):
    distance, is_genuine, num_folds = drawn
    number = data.draw(st.integers(0, num_folds - 1))
    _, fold = list(KFold(num_folds).split(distance))[number]
    changed = distance.copy()
    changed[fold] = data.draw(st.sampled_from([0, 1.5, 4]))
    before, after = (k_fold_thresholds(d, is_genuine, num_folds) for d in (distance, changed))
    assert after[number] == before[number]


def test_bad_input():
    distance, is_genuine = np.arange(20) / 10, np.arange(20) < 10
    with pytest.raises(InputError, match="the distance of pair 3 is nan: expected a finite number"):
        k_fold_accuracy(np.where(np.arange(20) == 3, np.nan, distance), is_genuine)
    with pytest.raises(InputError, match="20 genuine and 0 impostor pairs"):
        k_fold_accuracy(distance, np.ones(20, bool))
    with pytest.raises(InputError, match="expected one distance and one label per pair"):
        k_fold_accuracy(distance, is_genuine[:-1])
    for num_folds in (0, 1, 21):
        with pytest.raises(InputError, match=rf"{num_folds} folds of 20 pairs: expected at least"):
            k_fold_accuracy(distance, is_genuine, num_folds)
