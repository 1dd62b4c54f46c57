"""Figures of classification against scikit-learn's and SciPy's."""

import math
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, rankdata
from sklearn import metrics
from sklearn.calibration import calibration_curve

from tests.property_tests import examples
from tfface.errors import InputError
from tfface.metrics.calibration import calibration, calibration_error
from tfface.metrics.classification import classification, summarise, wilson_interval
from tfface.metrics.predictions import Answers, join_answers, read_answers


@st.composite
def cases(draw):
    """Probabilities with many ties, and labels that leave classes empty."""
    num_classes = draw(st.integers(2, 9))
    num_images = draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    raw = rng.integers(1, draw(st.integers(2, 6)), (num_images, num_classes)).astype(np.float64)
    labels = rng.integers(0, draw(st.integers(1, num_classes)), num_images)
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    return probabilities.astype(draw(st.sampled_from(["float32", "float64"]))), labels


@examples(100)
@given(cases())
def test_answers(case):
    """Of equal probabilities the lower class counts as the more probable one."""
    probabilities, labels = case
    answers = read_answers(probabilities, labels)
    ranks = rankdata(-probabilities, method="ordinal", axis=1) - 1
    np.testing.assert_array_equal(answers.predicted, ranks.argmin(axis=1))
    np.testing.assert_array_equal(answers.rank, np.take_along_axis(ranks, labels[:, None], 1)[:, 0])
    np.testing.assert_array_equal(answers.confidence, probabilities.max(axis=1))
    # scikit-learn takes the higher class first: classes in reverse are in our order.
    last = probabilities.shape[1] - 1
    for k in range(1, last + 1) if last > 1 else ():
        expected = metrics.top_k_accuracy_score(
            last - labels, probabilities[:, ::-1], k=k, labels=range(last + 1)
        )
        assert np.mean(answers.rank < k) == pytest.approx(expected)


# Classes that are predicted and not shown are meant to be left out of the macro means.
@pytest.mark.filterwarnings("ignore:y_pred contains classes", "ignore:A single label was found")
@examples(60)
@given(cases())
def test_summary(case):
    probabilities, labels = case
    num_classes = probabilities.shape[1]
    answers = read_answers(probabilities, labels)
    found = summarise(answers, num_classes)
    predicted = probabilities.argmax(axis=1)
    assert found.num_images == len(labels)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found.top5 == (np.mean(answers.rank < 5) if num_classes > 5 else None)

    shown = np.unique(labels)
    assert found.num_classes == len(shown)
    options = {"labels": shown, "average": "macro", "zero_division": np.nan}
    assert found.majority_share == np.bincount(labels).max() / len(labels)
    assert found.macro_recall == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(labels, predicted, **options))
    precision = metrics.precision_score(labels, predicted, **options)
    assert found.macro_precision == (None if np.isnan(precision) else pytest.approx(precision))
    # All above 1e-15, below which we and scikit-learn cut probabilities off differently.
    log_loss = metrics.log_loss(labels, probabilities, labels=range(num_classes))
    assert found.log_loss == pytest.approx(log_loss, rel=1e-5)


@examples(100)
@given(cases())
def test_figures_of_each_class(case):
    probabilities, labels = case
    classes = [f"c{number}" for number in range(probabilities.shape[1])]
    figures = classification(read_answers(probabilities, labels), classes).to_json()
    answers = labels, probabilities.argmax(axis=1)
    matrix = metrics.confusion_matrix(*answers, labels=range(len(classes)))
    expected = metrics.precision_recall_fscore_support(
        *answers, labels=range(len(classes)), zero_division=np.nan
    )
    for name, row, num_predicted, *of_class in zip(
        classes, matrix, matrix.sum(axis=0), *expected, strict=True
    ):
        precision, recall, f1, support = (None if np.isnan(x) else x for x in of_class)
        assert figures["per_class"][name] == {
            "precision": precision,
            "recall": recall,
            "f1": pytest.approx(f1),
            "support": support,
            "num_predicted": num_predicted,
        }
        confused = {other: count for other, count in zip(classes, row, strict=True) if count}
        assert figures["confusion"].get(name, {}) == confused


@examples(100)
@given(cases())
def test_calibration(case):
    """The bins are scikit-learn's, in which an edge belongs to the bin below it."""
    answers = read_answers(*case)
    bins = calibration(answers.confidence, answers.is_right)
    edges = np.linspace(0, 1, 16)
    np.testing.assert_array_equal([(one.low, one.high) for one in bins], list(pairwise(edges)))
    filled = [one for one in bins if one.num_images]
    assert all(one.confidence is one.accuracy is None for one in bins if one not in filled)
    counts = [
        np.count_nonzero((answers.confidence > one.low) & (answers.confidence <= one.high))
        for one in bins
    ]
    assert [one.num_images for one in bins] == counts

    accuracy, confidence = calibration_curve(answers.is_right, answers.confidence, n_bins=15)
    np.testing.assert_allclose([one.accuracy for one in filled], accuracy)
    np.testing.assert_allclose([one.confidence for one in filled], confidence)
    shares = np.array([one.num_images for one in filled]) / len(answers)
    expected = np.sum(shares * np.abs(accuracy - confidence))
    assert calibration_error(answers.confidence, answers.is_right) == pytest.approx(expected)


@examples(30)
@given(cases(), st.integers(1, 29))
def test_batches_and_order_do_not_count(case, cut):
    probabilities, labels = case
    whole = read_answers(probabilities, labels)
    cut = min(cut, len(labels))
    parts = [read_answers(probabilities[s], labels[s]) for s in (slice(cut), slice(cut, None))]
    joined = join_answers(parts)
    mixed = np.random.default_rng(0).permutation(len(labels))
    num_classes = probabilities.shape[1]
    expected = summarise(whole, num_classes).to_json()
    for other in (joined, whole.of(mixed)):
        figures = summarise(other, num_classes).to_json()
        assert figures.pop("accuracy_interval") == expected["accuracy_interval"]
        assert figures == pytest.approx({key: expected[key] for key in figures})


def test_golden_figures():
    # Three classes, the last of which is never predicted; a confidence on a bin's edge (0.6).
    probabilities = [[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1], [0.1, 0.9, 0.0]]
    result = classification(read_answers(np.array(probabilities), np.array([0, 1, 1, 2])), "abc")
    figures = result.to_json()
    assert figures["accuracy"] == 0.5
    assert figures["per_class"]["b"] == {
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "support": 2,
        "num_predicted": 2,
    }
    assert figures["per_class"]["c"] == {
        "precision": None,
        "recall": 0.0,
        "f1": 0.0,
        "support": 1,
        "num_predicted": 0,
    }
    assert figures["confusion"] == {"a": {"a": 1}, "b": {"a": 1, "b": 1}, "c": {"b": 1}}
    assert figures["calibration"][8]["num_images"] == 1
    assert figures["ece"] == pytest.approx((0.4 + 0.3 + 0.5 + 0.9) / 4)
    assert figures["macro_precision"] == 0.5
    # A probability of 0 counts as 1e-15, not as infinitely bad.
    expected = -(math.log(0.6) + math.log(0.7) + math.log(0.4) + math.log(1e-15)) / 4
    assert figures["log_loss"] == pytest.approx(expected)


@examples(50)
@given(st.integers(1, 10**6), st.floats(0, 1) | st.sampled_from([0.0, 1.0]))
def test_wilson(num_images, share):
    num_right = round(share * num_images)
    interval = wilson_interval(num_right, num_images)
    expected = binomtest(num_right, num_images).proportion_ci(0.95, method="wilson")
    assert interval == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= interval[0] <= interval[1] <= 1


EVEN = np.full((3, 4), 0.25)
LABELS = np.array([0, 1, 2])


def changed(row, column, value):
    probabilities = EVEN.copy()
    probabilities[row, column] = value
    return probabilities


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        (
            changed(1, 2, np.nan),
            LABELS,
            r"^two has NaN or infinite probabilities \(1 of 3 images\)$",
        ),
        (changed(1, 2, np.inf), LABELS, "^two has NaN or infinite probabilities"),
        (changed(2, 0, 0.5), LABELS, "^three has probabilities below 0, or that don't sum to 1"),
        (EVEN - [0.5, 0, 0, -0.5], LABELS, r"^one has probabilities below 0.* \(3 of 3 images\)$"),
        (EVEN, [0, 1], r"probabilities of 3 images, but labels of shape \(2,\)"),
        (EVEN, [0, 4, 1], r"^two is of no class from 0 to 3 \(1 of 3 images\)$"),
        (EVEN, [0, -1, 1], r"^two is of no class"),
        (EVEN, [0.0, 1.0, 2.0], "labels of type float64: expected whole numbers"),
        (EVEN[:, :1], LABELS, r"shape \(3, 1\): expected \[num_images, num_classes\] of two"),
        (EVEN[0], LABELS, "expected"),
    ],
)
def test_bad_input(probabilities, labels, message):
    with pytest.raises(InputError, match=message):
        read_answers(probabilities, np.asarray(labels), ["one", "two", "three"])


def test_names_are_not_needed():
    with pytest.raises(InputError, match="image 1 has NaN"):
        read_answers(changed(1, 2, np.nan), LABELS)


def test_no_images():
    with pytest.raises(InputError, match="no images"):
        classification(read_answers(EVEN[:0], LABELS[:0]), "abcd")


def test_answers_of_more_classes():
    with pytest.raises(InputError, match="an answer is of class 2, and there are 2 classes"):
        classification(read_answers(EVEN, LABELS), "ab")


def test_many_images_of_many_classes():
    """As scikit-learn's, and in less memory than a full matrix, which would take 59 GB."""
    rng = np.random.default_rng(0)
    num_images, num_classes = 100_000, 85_742
    label = rng.integers(0, num_classes, num_images)
    predicted = np.where(
        rng.random(num_images) < 0.7, label, rng.integers(0, num_classes, num_images)
    )
    confidence = rng.random(num_images)
    answers = Answers(label, predicted, confidence, (label != predicted) * 7, confidence)
    classes = [str(number) for number in range(num_classes)]
    tracemalloc.start()
    result = classification(answers, classes)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 2**26
    assert result.confusion.num_images.sum() == num_images
    expected = metrics.precision_recall_fscore_support(
        label, predicted, labels=range(num_classes), zero_division=np.nan
    )
    of_class = result.per_class
    for found, figure in zip(
        (of_class.precision, of_class.recall, of_class.f1, of_class.support), expected, strict=True
    ):
        np.testing.assert_allclose(found, figure, rtol=1e-12)
