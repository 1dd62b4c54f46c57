"""Figures as `eval_classification --json` writes them."""

import numpy as np

from tfface.metrics.classification import classification, summary_metrics
from tfface.metrics.predictions import Predictions


def answers(num_classes=3, num_images=60, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num_images)
    scores = rng.random((num_images, num_classes))
    scores[np.arange(num_images), labels] += 0.6
    return Predictions.from_probabilities(scores / scores.sum(axis=1, keepdims=True), labels)


def figures(num_classes=3, num_groups=0, *, with_people=False, one_class=False):
    """Figures of made answers; with people, the first half was seen, and the rest but one not."""
    of_all = answers(num_classes)
    rows = np.arange(len(of_all))
    classes = [f"class <{number}>" for number in range(num_classes)]
    made = part(of_all, num_classes, rows, with_people)
    made |= classification(of_all, classes).to_dict()
    made |= {"group_by": None, "groups": {}, "people": None, "most_wrong": []}
    if num_groups:
        made["group_by"] = "light"
        made["groups"] = {
            f"L{number}": part(of_all, num_classes, rows[number::num_groups], with_people)
            for number in range(num_groups)
        }
    if with_people:
        made["people"] = {"attribute": "person", "seen_in": "data.train", "num_in_training": 12}
        for number, name in enumerate(classes):
            unseen = None if one_class and number else 0.25
            made["per_class"][name] |= {
                "seen": {"support": 9, "recall": 0.75},
                "unseen": {"support": 0 if unseen is None else 7, "recall": unseen},
            }
        made["unseen"]["num_classes"] = 1 if one_class else num_classes
    return made


def part(of_all, num_classes, rows, with_people=False):
    def alone(some):
        if not len(some):
            return None
        return summary_metrics(of_all.take(some), num_classes).to_dict() | {"num_people": 5}

    whole = alone(rows)
    if not with_people:
        return whole | {"num_people": None, "seen": None, "unseen": None, "unknown": None}
    half = len(rows) // 2
    return whole | {
        "seen": alone(rows[:half]),
        "unseen": alone(rows[half:-1]),
        "unknown": alone(rows[-1:]),
    }
