"""Figures of classification against their definitions, written out with loops."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfface.errors import InputError
from tfface.metrics.answers import Answers, join_answers, read_answers
from tfface.metrics.calibration import NUM_BINS
from tfface.metrics.classification import classification, summarise, wilson_interval


@st.composite
def cases(draw):
    """Probabilities with many ties, and labels that leave classes empty."""
    num_classes = draw(st.integers(2, 9))
    num_images = draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    raw = rng.integers(1, draw(st.integers(2, 6)), (num_images, num_classes)).astype(np.float64)
    labels = rng.integers(0, draw(st.integers(1, num_classes)), num_images)
    return raw / raw.sum(axis=1, keepdims=True), labels


@settings(max_examples=150, deadline=None)
@given(cases())
def test_against_the_definitions(case):
    probabilities, labels = case
    num_images, num_classes = probabilities.shape
    classes = [f"c{number}" for number in range(num_classes)]
    figures = classification(read_answers(probabilities, labels), classes).to_json()

    order = [
        sorted(range(num_classes), key=lambda c, row=row: (-row[c], c)) for row in probabilities
    ]
    predicted = [row[0] for row in order]
    right = [p == y for p, y in zip(predicted, labels, strict=True)]
    assert figures["num_images"] == num_images
    assert figures["accuracy"] == pytest.approx(sum(right) / num_images)
    if num_classes <= 5:
        assert figures["top5"] is None
    else:
        found = [y in row[:5] for row, y in zip(order, labels, strict=True)]
        assert figures["top5"] == pytest.approx(sum(found) / num_images)
    assert figures["log_loss"] == pytest.approx(
        sum(-math.log(row[y]) for row, y in zip(probabilities, labels, strict=True)) / num_images
    )

    precisions, recalls, f1s = [], [], []
    for number, name in enumerate(classes):
        support = sum(y == number for y in labels)
        num_predicted = sum(p == number for p in predicted)
        hits = sum(p == y == number for p, y in zip(predicted, labels, strict=True))
        of_class = figures["per_class"][name]
        assert of_class["support"] == support
        assert of_class["num_predicted"] == num_predicted
        assert of_class["precision"] == (hits / num_predicted if num_predicted else None)
        assert of_class["recall"] == (hits / support if support else None)
        if support and num_predicted and hits:
            p, r = hits / num_predicted, hits / support
            assert of_class["f1"] == pytest.approx(2 * p * r / (p + r))
        else:
            assert of_class["f1"] == (0 if support or num_predicted else None)
        if support:
            recalls.append(of_class["recall"])
            f1s.append(of_class["f1"])
            if num_predicted:
                precisions.append(of_class["precision"])
        for other, other_name in enumerate(classes):
            count = sum((y, p) == (number, other) for y, p in zip(labels, predicted, strict=True))
            assert figures["confusion"].get(name, {}).get(other_name, 0) == count
    assert figures["num_classes"] == len(recalls)
    assert figures["macro_recall"] == pytest.approx(np.mean(recalls))
    assert figures["macro_f1"] == pytest.approx(np.mean(f1s))
    if precisions:
        assert figures["macro_precision"] == pytest.approx(np.mean(precisions))
    else:
        assert figures["macro_precision"] is None

    ece = 0
    for number, of_bin in enumerate(figures["calibration"]):
        low, high = number / NUM_BINS, (number + 1) / NUM_BINS
        inside = [i for i, row in enumerate(probabilities) if low < max(row) <= high]
        assert (of_bin["low"], of_bin["high"], of_bin["num_images"]) == (low, high, len(inside))
        if inside:
            confidence = np.mean([probabilities[i].max() for i in inside])
            accuracy = np.mean([right[i] for i in inside])
            assert of_bin["confidence"] == pytest.approx(confidence)
            assert of_bin["accuracy"] == pytest.approx(accuracy)
            ece += len(inside) / num_images * abs(confidence - accuracy)
        else:
            assert of_bin["confidence"] is of_bin["accuracy"] is None
    assert figures["ece"] == pytest.approx(ece)


@settings(max_examples=30, deadline=None)
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


@pytest.mark.parametrize(
    ("num_right", "num_images", "low", "high"),
    # Of R's prop.test(x, n, correct = FALSE).
    [
        (8, 10, 0.4901625, 0.9433178),
        (0, 20, 0, 0.1611252),
        (20, 20, 0.8388748, 1),
        (1, 2, 0.0945312, 0.9054688),
    ],
)
def test_wilson(num_right, num_images, low, high):
    assert wilson_interval(num_right, num_images) == pytest.approx((low, high), abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 10**6), st.floats(0, 1))
def test_wilson_holds_the_share(num_images, share):
    num_right = round(share * num_images)
    low, high = wilson_interval(num_right, num_images)
    assert 0 <= low <= num_right / num_images + 1e-12
    assert num_right / num_images - 1e-12 <= high <= 1


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


def test_many_images_of_many_classes_are_quick_and_small():
    rng = np.random.default_rng(0)
    num_images, num_classes = 100_000, 85_742
    label = rng.integers(0, num_classes, num_images)
    predicted = np.where(
        rng.random(num_images) < 0.7, label, rng.integers(0, num_classes, num_images)
    )
    confidence = rng.random(num_images)
    answers = Answers(label, predicted, confidence, (label != predicted) * 7, confidence)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        result = classification(answers, [str(number) for number in range(num_classes)])
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5
    assert result.confusion.num_images.sum() == num_images
