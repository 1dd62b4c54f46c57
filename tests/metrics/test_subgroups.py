"""Metrics of subgroups against scikit-learn on the pairs of each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, roc_auc_score

from tests.metrics.test_verification import random_set
from tests.property_tests import examples
from tfface.errors import InputError
from tfface.metrics.roc import eer, roc
from tfface.metrics.verification import subgroup_metrics, verification


@examples(60)
@given(st.integers(0, 1000), st.integers(2, 40), st.integers(-2, 2))
def test_metrics_equal_those_of_the_pairs_alone(seed, num_pairs, threshold):
    rng = np.random.default_rng(seed)
    similarity = rng.integers(-3, 4, num_pairs) / 2
    is_genuine, is_correct = rng.random((2, num_pairs)) < 0.5
    groups = [f"group {number}" for number in rng.integers(0, 4, num_pairs)]
    metrics = subgroup_metrics(similarity, is_genuine, is_correct, threshold / 2, groups)
    assert list(metrics) == sorted(set(groups))
    for name, of_group in metrics.items():
        own = np.array([group == name for group in groups])
        accepted = similarity[own] >= threshold / 2
        (rejects, false_accepts), (misses, true_accepts) = confusion_matrix(
            is_genuine[own], accepted, labels=[False, True]
        )
        num_impostor, num_genuine = rejects + false_accepts, misses + true_accepts
        assert of_group.num_pairs == num_impostor + num_genuine
        assert of_group.num_genuine == num_genuine
        assert of_group.accuracy == np.mean(is_correct[own])
        assert of_group.far == (false_accepts / num_impostor if num_impostor else None)
        assert of_group.tar == (true_accepts / num_genuine if num_genuine else None)
        if num_impostor and num_genuine:
            expected = roc_auc_score(is_genuine[own], similarity[own])
            assert of_group.auc == pytest.approx(expected, abs=1e-12)
            assert of_group.eer == eer(roc(similarity[own], is_genuine[own]))
        else:
            assert of_group.eer is of_group.auc is None


def test_subgroups_share_the_thresholds_of_the_set():
    embeddings, first, second, is_genuine = random_set(0)
    groups = ["odd" if pair % 2 else "even" for pair in range(200)]
    result = verification(embeddings, first, second, is_genuine, groups=groups)
    assert list(result.groups) == ["even", "odd"]
    # Folds have equal size, and so have the groups.
    both = [group.accuracy for group in result.groups.values()]
    assert np.mean(both) == pytest.approx(result.accuracy.mean)
    point = result.groups["odd"]
    accepted = result.similarity[1::2] >= result.threshold.cosine
    assert point.far == np.mean(accepted[~is_genuine[1::2]])
    written = result.to_dict()["groups"]["even"]
    assert list(written) == ["num_pairs", "num_genuine", "accuracy", "far", "tar", "eer", "auc"]


def test_wrong_number_of_groups():
    embeddings, first, second, is_genuine = random_set(0)
    with pytest.raises(InputError, match="3 groups were given for 200 pairs"):
        verification(embeddings, first, second, is_genuine, groups=["a", "b", "c"])
