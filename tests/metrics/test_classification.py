"""Classification metrics against scikit-learn and SciPy."""

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
from tfface.metrics.calibration import calibration, expected_calibration_error
from tfface.metrics.classification import (
    Predictions,
    classification,
    summary_metrics,
    wilson_interval,
)


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
def test_predictions(case):
    """Ties: the lower class counts as more probable."""
    probabilities, labels = case
    predictions = Predictions.from_probabilities(probabilities, labels)
    ranks = rankdata(-probabilities, method="ordinal", axis=1) - 1
    np.testing.assert_array_equal(predictions.predicted, ranks.argmin(axis=1))
    np.testing.assert_array_equal(
        predictions.rank, np.take_along_axis(ranks, labels[:, None], 1)[:, 0]
    )
    np.testing.assert_array_equal(predictions.confidence, probabilities.max(axis=1))
    # scikit-learn prefers the higher class: reversed classes have our order.
    last = probabilities.shape[1] - 1
    for k in range(1, last + 1) if last > 1 else ():
        expected = metrics.top_k_accuracy_score(
            last - labels, probabilities[:, ::-1], k=k, labels=range(last + 1)
        )
        assert np.mean(predictions.rank < k) == pytest.approx(expected)


# Classes that are predicted but do not occur are excluded from macro means.
@pytest.mark.filterwarnings("ignore:y_pred contains classes", "ignore:A single label was found")
@examples(60)
@given(cases())
def test_summary(case):
    probabilities, labels = case
    num_classes = probabilities.shape[1]
    predictions = Predictions.from_probabilities(probabilities, labels)
    found = summary_metrics(predictions, num_classes)
    predicted = probabilities.argmax(axis=1)
    assert found.num_images == len(labels)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found.top5 == (np.mean(predictions.rank < 5) if num_classes > 5 else None)

    shown = np.unique(labels)
    assert found.num_classes == len(shown)
    options = {"labels": shown, "average": "macro", "zero_division": np.nan}
    assert found.majority_share == np.bincount(labels).max() / len(labels)
    assert found.macro_recall == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(labels, predicted, **options))
    precision = metrics.precision_score(labels, predicted, **options)
    assert found.macro_precision == (None if np.isnan(precision) else pytest.approx(precision))
    # All are above 1e-15: scikit-learn clips lower probabilities differently.
    log_loss = metrics.log_loss(labels, probabilities, labels=range(num_classes))
    assert found.log_loss == pytest.approx(log_loss, rel=1e-5)


@examples(100)
@given(cases())
def test_metrics_of_each_class(case):
    probabilities, labels = case
    classes = [f"c{number}" for number in range(probabilities.shape[1])]
    metrics_found = classification(
        Predictions.from_probabilities(probabilities, labels), classes
    ).to_dict()
    labels_and_predicted = labels, probabilities.argmax(axis=1)
    matrix = metrics.confusion_matrix(*labels_and_predicted, labels=range(len(classes)))
    expected = metrics.precision_recall_fscore_support(
        *labels_and_predicted, labels=range(len(classes)), zero_division=np.nan
    )
    for name, row, num_predicted, *of_class in zip(
        classes, matrix, matrix.sum(axis=0), *expected, strict=True
    ):
        precision, recall, f1, support = (None if np.isnan(x) else x for x in of_class)
        assert metrics_found["per_class"][name] == {
            "precision": precision,
            "recall": recall,
            "f1": pytest.approx(f1),
            "support": support,
            "num_predicted": num_predicted,
        }
        confused = {other: count for other, count in zip(classes, row, strict=True) if count}
        assert metrics_found["confusion"].get(name, {}) == confused


@examples(100)
@given(cases())
def test_calibration(case):
    """The bins are scikit-learn's, in which an edge belongs to the bin below it."""
    predictions = Predictions.from_probabilities(*case)
    bins = calibration(predictions.confidence, predictions.is_correct)
    edges = np.linspace(0, 1, 16)
    np.testing.assert_array_equal([(one.low, one.high) for one in bins], list(pairwise(edges)))
    filled = [one for one in bins if one.num_images]
    assert all(one.confidence is one.accuracy is None for one in bins if one not in filled)
    counts = [
        np.count_nonzero((predictions.confidence > one.low) & (predictions.confidence <= one.high))
        for one in bins
    ]
    assert [one.num_images for one in bins] == counts

    accuracy, confidence = calibration_curve(
        predictions.is_correct, predictions.confidence, n_bins=15
    )
    np.testing.assert_allclose([one.accuracy for one in filled], accuracy)
    np.testing.assert_allclose([one.confidence for one in filled], confidence)
    shares = np.array([one.num_images for one in filled]) / len(predictions)
    expected = np.sum(shares * np.abs(accuracy - confidence))
    assert expected_calibration_error(
        predictions.confidence, predictions.is_correct
    ) == pytest.approx(expected)


@examples(30)
@given(cases(), st.integers(1, 29))
def test_batches_and_order_have_no_effect(case, cut):
    probabilities, labels = case
    whole = Predictions.from_probabilities(probabilities, labels)
    cut = min(cut, len(labels))
    parts = [
        Predictions.from_probabilities(probabilities[s], labels[s])
        for s in (slice(cut), slice(cut, None))
    ]
    joined = Predictions.concatenate(parts)
    mixed = np.random.default_rng(0).permutation(len(labels))
    num_classes = probabilities.shape[1]
    expected = summary_metrics(whole, num_classes).to_dict()
    for other in (joined, whole.take(mixed)):
        metrics_found = summary_metrics(other, num_classes).to_dict()
        assert metrics_found.pop("accuracy_interval") == expected["accuracy_interval"]
        assert metrics_found == pytest.approx({key: expected[key] for key in metrics_found})


def test_known_values():
    # Three classes, the last of which is never predicted; a confidence on a bin's edge (0.6).
    probabilities = [[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1], [0.1, 0.9, 0.0]]
    result = classification(
        Predictions.from_probabilities(np.array(probabilities), np.array([0, 1, 1, 2])), "abc"
    )
    metrics_found = result.to_dict()
    assert metrics_found["accuracy"] == 0.5
    assert metrics_found["per_class"]["b"] == {
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "support": 2,
        "num_predicted": 2,
    }
    assert metrics_found["per_class"]["c"] == {
        "precision": None,
        "recall": 0.0,
        "f1": 0.0,
        "support": 1,
        "num_predicted": 0,
    }
    assert metrics_found["confusion"] == {"a": {"a": 1}, "b": {"a": 1, "b": 1}, "c": {"b": 1}}
    assert metrics_found["calibration"][8]["num_images"] == 1
    assert metrics_found["ece"] == pytest.approx((0.4 + 0.3 + 0.5 + 0.9) / 4)
    assert metrics_found["macro_precision"] == 0.5
    # A probability of 0 is clipped to 1e-15.
    expected = -(math.log(0.6) + math.log(0.7) + math.log(0.4) + math.log(1e-15)) / 4
    assert metrics_found["log_loss"] == pytest.approx(expected)


@examples(50)
@given(st.integers(1, 10**6), st.floats(0, 1) | st.sampled_from([0.0, 1.0]))
def test_wilson(num_images, share):
    num_correct = round(share * num_images)
    interval = wilson_interval(num_correct, num_images)
    expected = binomtest(num_correct, num_images).proportion_ci(0.95, method="wilson")
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
        (
            changed(2, 0, 0.5),
            LABELS,
            "^three has negative probabilities, or probabilities that do not sum to 1",
        ),
        (EVEN - [0.5, 0, 0, -0.5], LABELS, r"^one has negative probabilities.* \(3 of 3 images\)$"),
        (EVEN, [0, 1], r"probabilities of 3 images, but labels of shape \(2,\)"),
        (EVEN, [0, 4, 1], r"^two has a label outside 0\.\.3 \(1 of 3 images\)$"),
        (EVEN, [0, -1, 1], r"^two has a label outside"),
        (EVEN, [0.0, 1.0, 2.0], "labels have type float64: expected integers"),
        (
            EVEN[:, :1],
            LABELS,
            r"shape \(3, 1\): expected \[num_images, num_classes\] with at least two",
        ),
        (EVEN[0], LABELS, "expected"),
    ],
)
def test_bad_input(probabilities, labels, message):
    with pytest.raises(InputError, match=message):
        Predictions.from_probabilities(probabilities, np.asarray(labels), ["one", "two", "three"])


def test_names_are_not_needed():
    with pytest.raises(InputError, match="image 1 has NaN"):
        Predictions.from_probabilities(changed(1, 2, np.nan), LABELS)


def test_no_images():
    with pytest.raises(InputError, match="no images"):
        classification(Predictions.from_probabilities(EVEN[:0], LABELS[:0]), "abcd")


def test_predictions_of_unknown_classes():
    with pytest.raises(InputError, match="a prediction is of class 2, but there are 2 classes"):
        classification(Predictions.from_probabilities(EVEN, LABELS), "ab")


def test_many_images_of_many_classes():
    """As scikit-learn, in less memory than a full matrix, which would take 59 GB."""
    rng = np.random.default_rng(0)
    num_images, num_classes = 100_000, 85_742
    label = rng.integers(0, num_classes, num_images)
    predicted = np.where(
        rng.random(num_images) < 0.7, label, rng.integers(0, num_classes, num_images)
    )
    confidence = rng.random(num_images)
    predictions = Predictions(label, predicted, confidence, (label != predicted) * 7, confidence)
    classes = [str(number) for number in range(num_classes)]
    tracemalloc.start()
    result = classification(predictions, classes)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 2**26
    assert result.confusion.num_images.sum() == num_images
    expected = metrics.precision_recall_fscore_support(
        label, predicted, labels=range(num_classes), zero_division=np.nan
    )
    of_class = result.per_class
    for found, values in zip(
        (of_class.precision, of_class.recall, of_class.f1, of_class.support), expected, strict=True
    ):
        np.testing.assert_allclose(found, values, rtol=1e-12)
