"""Figures of classification in words."""

from tests.report.made_classification import figures
from tfface.report.classification_table import (
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
        *("images", "of", "accuracy", "95%", "interval", "images", "macro", "recall"),
        *("ECE", "log", "loss"),
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
    assert f"Expect {100 * unseen['accuracy']:.2f}% (" in text
    assert "the accuracy on the 5 who were not in training, and not the" in text
    assert "recall, not seen" in text
    assert "are of one class" not in text


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
