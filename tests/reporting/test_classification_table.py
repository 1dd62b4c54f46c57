"""Figures of classification in words."""

import numpy as np

from tests.reporting.made_classification import figures
from tfface.metrics.classification import classification
from tfface.metrics.predictions import Predictions
from tfface.reporting.classification_table import (
    as_text,
    class_rows,
    confused,
    parts,
    result_rows,
    table_rows,
)


def test_plain():
    made = figures()
    lines = as_text(made).splitlines()
    # Columns that nobody filled are left out.
    assert lines[0].split() == [
        *("images", "of", "accuracy", "balanced", "largest", "class", "95%", "interval"),
        *("images", "ECE", "log", "loss"),
    ]
    assert lines[1].startswith("all")
    assert f"{100 * made['accuracy']:.2f}%" in lines[1]
    assert lines[2] == ""
    assert lines[3].split()[:2] == ["class", "images"]
    assert "seen" not in as_text(made)


def test_people_and_groups():
    made = figures(num_groups=2, with_people=True)
    names = [name for name, _ in parts(made)]
    assert names[:4] == [
        "all",
        "people seen in training",
        "people not seen in training",
        "people not known",
    ]
    assert names[4:6] == ["light=L0", "light=L0, people seen in training"]
    text = as_text(made)
    unseen = made["unseen"]
    assert (
        f"Of the images of the 5 people who were not in training {100 * unseen['accuracy']:.2f}% ("
    ) in text
    assert (
        f"(balanced accuracy {100 * unseen['macro_recall']:.2f}%, largest class "
        f"{100 * unseen['majority_share']:.2f}%), and {100 * made['seen']['accuracy']:.2f}% of"
    ) in text
    assert "recall, not seen" in text
    assert "are of one class" not in text


def always(predicted, labels):
    """Figures of a model that says the same of all images."""
    scores = np.full((len(labels), 3), 0.01)
    scores[:, predicted] = 0.98
    predictions = Predictions.from_probabilities(scores, np.array(labels))
    found = classification(predictions, ["ann", "bob", "others"])
    whole = {"num_people": None, "seen": None, "unseen": None, "unknown": None}
    return {**found.to_dict(), **whole, "group_by": None, "groups": {}, "people": None}


def test_accuracy_stands_beside_a_guess():
    text = as_text(always(2, [2] * 97 + [0, 1, 1]))
    assert (
        "97.00% of the images are right; always saying 'others' would be right in 97.00%. The mean "
        "over the classes is 33.33% (balanced accuracy): the model is no better than that guess."
    ) in text
    text = as_text(always(1, [2] * 2 + [1] * 3 + [0] * 1))
    assert "no better than that guess" in text
    text = as_text(figures())
    assert "would be right in 35.00%. The mean" in text
    assert "no better than that guess" not in text


def test_figures_of_before_the_largest_class():
    made = figures(with_people=True)
    for part in (made, made["seen"], made["unseen"], made["unknown"]):
        del part["majority_share"]
    assert as_text(made).splitlines()[1].split()[3] == "-"


def test_new_people_of_one_class():
    text = as_text(figures(with_people=True, one_class=True))
    assert (
        "All images of people not seen are of 'class <0>', so it says nothing about other classes; "
        "of the people seen, 75.00% of 'class <0>' were right."
    ) in text


def test_many_classes_and_groups_are_shown_in_part():
    made = figures(num_classes=30, num_groups=45)
    text = as_text(made)
    assert "shown are the 40 of 45 groups with the lowest accuracy" in text
    assert "shown are the 20 of 30 classes with the lowest F1" in text
    rows = class_rows(made)
    f1s = {name: made["per_class"][name]["f1"] for name in made["per_class"]}
    supported = [name for name in f1s if made["per_class"][name]["support"]]
    assert [row[0] for row in rows] == sorted(supported, key=lambda name: f1s[name])[:20]
    shown = [name for name, _ in parts(made)][1:]
    assert len(shown) == 40
    accuracies = {f"light={value}": part["accuracy"] for value, part in made["groups"].items()}
    hidden = set(accuracies) - set(shown)
    assert max(accuracies[name] for name in shown) <= min(accuracies[name] for name in hidden)
    # In the order of the groups, not of the accuracy.
    assert shown == [name for name in accuracies if name not in hidden]


def test_what_is_confused():
    made = figures()
    found = confused(made)
    assert [count for *_, count, _ in found] == sorted((c for *_, c, _ in found), reverse=True)
    wrong = made["num_images"] - sum(row.get(name, 0) for name, row in made["confusion"].items())
    assert sum(count for *_, count, _ in found) == wrong
    label, predicted, count, of = found[0]
    assert f"{count} of {of} images of '{label}' were taken for '{predicted}'" in as_text(made)


def test_result_rows():
    [alone] = result_rows("m", "d", figures())
    assert (alone["model"], alone["dataset"], alone["subset"]) == ("m", "d", "all")
    made = figures(num_classes=7, num_groups=2, with_people=True)
    rows = result_rows("m", "d", made)
    assert all(list(row) == list(alone) for row in rows)
    assert len(rows) == len(table_rows(made))
    assert (rows[0]["accuracy_ci_low"], rows[0]["accuracy_ci_high"]) == made["accuracy_interval"]
    assert rows[0]["top5_accuracy"] == made["top5"]
    seen = next(row for row in rows if row["subset"] == "people seen in training")
    assert seen["num_identities"] == made["seen"]["num_people"]
