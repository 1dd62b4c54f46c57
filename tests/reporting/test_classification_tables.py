"""Tables and sentences of classification."""

import numpy as np

from tests.reporting.sample_metrics import classification
from tfface.metrics.classification import Predictions
from tfface.metrics.classification import classification as compute_classification
from tfface.reporting.classification_tables import (
    class_table,
    confusion_table,
    confusions,
    key_metrics,
    result_rows,
    subsets,
    summary_table,
    to_text,
)


def test_plain():
    metrics = classification()
    lines = to_text(metrics).splitlines()
    # Empty columns are omitted.
    assert lines[0].split() == [
        *("subset", "accuracy", "balanced", "largest", "class", "95%", "CI"),
        *("images", "ECE", "log", "loss"),
    ]
    assert lines[1].startswith("all")
    assert f"{100 * metrics['accuracy']:.2f}%" in lines[1]
    assert lines[2] == ""
    assert lines[3].split()[:2] == ["class", "images"]
    assert "seen" not in to_text(metrics)


def test_identities_and_groups():
    metrics = classification(num_groups=2, with_people=True)
    names = [name for name, _ in subsets(metrics)]
    assert names[:4] == [
        "all",
        "seen identities",
        "unseen identities",
        "unknown identities",
    ]
    assert names[4:6] == ["light=L0", "light=L0, seen identities"]
    text = to_text(metrics)
    unseen = metrics["unseen"]
    low, high = unseen["accuracy_interval"]
    assert (
        f"Accuracy on 5 identities unseen in training: {100 * unseen['accuracy']:.2f}% (95% CI "
        f"{100 * low:.2f}-{100 * high:.2f}%, balanced accuracy "
        f"{100 * unseen['macro_recall']:.2f}%, largest class "
        f"{100 * unseen['majority_share']:.2f}%); on seen identities: "
        f"{100 * metrics['seen']['accuracy']:.2f}%."
    ) in text
    assert "recall, unseen" in text
    assert "other classes are not measured" not in text
    labels = [label for label, _ in key_metrics(metrics)]
    assert labels[3:5] == ["accuracy, seen identities", "accuracy, unseen identities"]


def constant(predicted, labels):
    """Metrics of a model that predicts one class for all images."""
    scores = np.full((len(labels), 3), 0.01)
    scores[:, predicted] = 0.98
    predictions = Predictions.from_probabilities(scores, np.array(labels))
    found = compute_classification(predictions, ["ann", "bob", "others"])
    whole = {"num_people": None, "seen": None, "unseen": None, "unknown": None}
    return {**found.to_dict(), **whole, "group_by": None, "groups": {}, "people": None}


def test_accuracy_is_compared_with_the_largest_class():
    assert (
        "Accuracy 97.00%, balanced accuracy (mean over the classes) 33.33%; always predicting "
        "'others' has an accuracy of 97.00%: the model is no better than that."
    ) in to_text(constant(2, [2] * 97 + [0, 1, 1]))
    assert "no better than that" in to_text(constant(1, [2] * 2 + [1] * 3 + [0] * 1))
    text = to_text(classification())
    assert "has an accuracy of 35.00%." in text
    assert "no better than that" not in text


def test_files_of_older_versions_lack_the_largest_class():
    metrics = classification(with_people=True)
    for subset in (metrics, metrics["seen"], metrics["unseen"], metrics["unknown"]):
        del subset["majority_share"]
    assert to_text(metrics).splitlines()[1].split()[3] == "-"


def test_unseen_identities_of_one_class():
    assert (
        "All images of unseen identities are of 'class <0>': other classes are not measured; the "
        "recall of 'class <0>' on seen identities is 75.00%."
    ) in to_text(classification(with_people=True, one_class=True))


def test_many_classes_and_groups_are_shown_in_part():
    metrics = classification(num_classes=30, num_groups=45)
    text = to_text(metrics)
    assert "the 40 of 45 groups with the lowest accuracy" in text
    assert "the 20 of 30 classes with the lowest F1" in text
    rows = class_table(metrics).rows
    f1s = {name: metrics["per_class"][name]["f1"] for name in metrics["per_class"]}
    supported = [name for name in f1s if metrics["per_class"][name]["support"]]
    assert [row[0] for row in rows] == sorted(supported, key=lambda name: f1s[name])[:20]
    shown = [name for name, _ in subsets(metrics)][1:]
    assert len(shown) == 40
    accuracies = {f"light={value}": group["accuracy"] for value, group in metrics["groups"].items()}
    hidden = set(accuracies) - set(shown)
    assert max(accuracies[name] for name in shown) <= min(accuracies[name] for name in hidden)
    # In the order of the groups, not of the accuracy.
    assert shown == [name for name in accuracies if name not in hidden]


def test_confusions():
    metrics = classification()
    found = confusions(metrics)
    assert [count for *_, count, _ in found] == sorted((c for *_, c, _ in found), reverse=True)
    correct = sum(row.get(name, 0) for name, row in metrics["confusion"].items())
    assert sum(count for *_, count, _ in found) == metrics["num_images"] - correct
    label, predicted, count, of = found[0]
    assert f"{count} of {of} images of '{label}' predicted as '{predicted}'" in to_text(metrics)
    assert confusion_table(metrics, 2).rows[0] == [label, predicted, str(count), str(of)]
    assert len(confusion_table(metrics, 2).rows) == 2
    metrics["confusion"] = {name: {name: 1} for name in metrics["confusion"]}
    assert confusion_table(metrics, 2) is None
    assert "confusions" not in to_text(metrics)


def test_result_rows():
    [alone] = result_rows("m", "d", classification())
    assert (alone["model"], alone["dataset"], alone["subset"]) == ("m", "d", "all")
    metrics = classification(num_classes=7, num_groups=2, with_people=True)
    rows = result_rows("m", "d", metrics)
    assert all(list(row) == list(alone) for row in rows)
    assert len(rows) == len(summary_table(metrics).rows)
    assert (rows[0]["accuracy_ci_low"], rows[0]["accuracy_ci_high"]) == metrics["accuracy_interval"]
    assert rows[0]["top5_accuracy"] == metrics["top5"]
    seen = next(row for row in rows if row["subset"] == "seen identities")
    assert seen["num_identities"] == metrics["seen"]["num_people"]
