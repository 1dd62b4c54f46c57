"""Scores of models of others: which are probabilities, and what becomes of those that aren't."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.property_tests import examples
from tfface.errors import InputError
from tfface.evaluation.classifier import ScoresToProbabilities


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@examples(50)
@given(arrays(np.float32, (4, 5), elements=st.floats(-30, 30, width=16)))
def test_probabilities_of_logits(logits):
    found = ScoresToProbabilities("m", 5, "logits").probabilities(logits)
    np.testing.assert_allclose(found, softmax(logits.astype(np.float64)), rtol=1e-5, atol=1e-30)


def test_probabilities_are_left_as_they_are():
    given = softmax(np.random.default_rng(0).normal(size=(6, 4)))
    np.testing.assert_allclose(ScoresToProbabilities("m", 4).probabilities(given), given, rtol=1e-6)


def test_quantized_probabilities_are_made_to_sum_to_one():
    given = np.round(softmax(np.random.default_rng(0).normal(size=(6, 4))) * 256) / 256
    found = ScoresToProbabilities("m", 4).probabilities(given.astype(np.float32))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found, given, atol=0.01)


def test_logits_are_told_by_the_first_batch():
    scores = ScoresToProbabilities("m", 3)
    first = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]])
    np.testing.assert_allclose(scores.probabilities(first), softmax(first), rtol=1e-6)
    # These would be probabilities by themselves.
    later = np.array([[0.2, 0.3, 0.5]])
    np.testing.assert_allclose(scores.probabilities(later), softmax(later), rtol=1e-6)


def test_a_single_score_is_that_of_the_second_class():
    found = ScoresToProbabilities("m", 2).probabilities(np.array([[0.2], [0.9]]))
    np.testing.assert_allclose(found, [[0.8, 0.2], [0.1, 0.9]], rtol=1e-6)
    found = ScoresToProbabilities("m", 2).probabilities(np.array([[0.0], [800.0], [-2.0]]))
    sigmoid = 1 / (1 + np.exp(2))
    np.testing.assert_allclose(found, [[0.5, 0.5], [0, 1], [1 - sigmoid, sigmoid]], rtol=1e-6)
    found = ScoresToProbabilities("m", 2, "logits").probabilities(np.array([[0.0]]))
    np.testing.assert_allclose(found, [[0.5, 0.5]])


@pytest.mark.parametrize(
    ("kind", "told"), [("auto", "those of the first"), ("probabilities", "sai")]
)
def test_scores_that_are_no_probabilities_after_all(kind, told):
    scores = ScoresToProbabilities("net.onnx", 2, kind)
    scores.probabilities(np.array([[0.5, 0.5]]))
    with pytest.raises(
        InputError, match=rf"^net\.onnx: the scores .*{told}.*use --score-type logits$"
    ):
        scores.probabilities(np.array([[3.0, -2.0]]))


def test_nan_stays_nan():
    scores = np.array([[np.nan, 0.5], [0.25, 0.75]])
    found = ScoresToProbabilities("m", 2).probabilities(scores)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], [0.25, 0.75])


def test_another_number_of_scores():
    with pytest.raises(InputError, match="m: the model gives 1 scores for an image, but 3 classes"):
        ScoresToProbabilities("m", 3).probabilities(np.ones((2, 1)))
