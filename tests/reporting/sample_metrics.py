"""Metrics as `eval_verification --json` and the other tools write them."""

from pathlib import Path

import numpy as np

from tfface.metrics.classification import Predictions, summary_metrics
from tfface.metrics.classification import classification as compute_classification
from tfface.metrics.seed_statistics import paired_difference, seed_statistics
from tfface.reporting.html import write_report


def verification(tar_at_finest=0.5):
    """The metrics of one pair set."""
    return {
        "num_pairs": 6000,
        "num_genuine": 3000,
        "accuracy": {"mean": 0.9930, "std": 0.0041, "folds": [0.993] * 10},
        "threshold": {"cosine": 0.4, "squared_l2": 1.2},
        "tar_at_far": [
            {
                "far": far,
                "tar": tar,
                "measured_far": min(far, 1e-3),
                "threshold_cosine": 0.45501,
                "sufficient": far > 1e-4,
            }
            for far, tar in ((1e-2, 0.99), (1e-3, 0.98), (1e-4, tar_at_finest))
        ],
        "eer": 0.007,
        "auc": 0.9989,
        "embedding_norm": 137.9,
    }


def identification(**others):
    points = [
        {
            "fpir": fpir,
            "tpir": tpir,
            "measured_fpir": fpir,
            "fnir": 1 - tpir,
            "wrong_name": 0.004,
            "threshold": threshold,
            "sufficient": fpir > 1e-3,
        }
        for fpir, tpir, threshold in (
            (1e-1, 0.96, 0.31),
            (1e-2, 0.931, 0.40561),
            (1e-3, 0.9, 0.5),
        )
    ]
    made = {
        "model": "faces",
        "gallery": "staff",
        "query": "door",
        "rank1": 0.97,
        "rank5": 0.99,
        "rank10": 1.0,
        "cmc": [0.97, 0.98, 0.98, 0.98, 0.99, 0.99, 0.99, 0.99, 0.99, 1.0, 1.0, 1.0],
        "tpir_at_fpir": points,
        "threshold": {"cosine": 0.40561, "squared_l2": 1.18878, "fpir": 1e-2, "tpir": 0.931},
        "num_identities": 12,
        "num_mated": 1000,
        "num_non_mated": 500,
        "num_gallery": 1234,
        "num_queries": 1500,
        "num_same_images": 0,
        "one_template": False,
        "metric": "cosine",
        "index": {
            "kind": "flat",
            "parameters": "",
            "num_embeddings": 1234,
            "recall_at_1": 1.0,
            "recall_at_10": 1.0,
        },
    }
    return made | others


def predictions(num_classes=3, num_images=60, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num_images)
    scores = rng.random((num_images, num_classes))
    scores[np.arange(num_images), labels] += 0.6
    return Predictions.from_probabilities(scores / scores.sum(axis=1, keepdims=True), labels)


def classification(num_classes=3, num_groups=0, *, with_people=False, one_class=False):
    """With people, the first half shows seen identities, the last image an unknown one."""
    of_all = predictions(num_classes)
    rows = np.arange(len(of_all))
    classes = [f"class <{number}>" for number in range(num_classes)]
    made = _subset(of_all, num_classes, rows, with_people)
    made |= compute_classification(of_all, classes).to_dict()
    made |= {"group_by": None, "groups": {}, "people": None, "most_wrong": []}
    if num_groups:
        made["group_by"] = "light"
        made["groups"] = {
            f"L{number}": _subset(of_all, num_classes, rows[number::num_groups], with_people)
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


def _subset(of_all, num_classes, rows, with_people=False):
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


def comparison(
    names=("sgd", "adam", "adamw"), num_seeds=3, num_epochs=6, *, failed=(), metric=None
):
    """Each variant is slightly better than the one before."""
    rng = np.random.default_rng(1)
    variants, reference = [], None
    for position, name in enumerate(names):
        runs, found = [], {}
        for seed in range(num_seeds):
            is_failed = name in failed
            last = 0.7 + 0.04 * position + rng.normal(0, 0.015)
            # Early stopping ends runs of one variant at several epochs.
            epochs = np.arange(1, num_epochs + 1 - (seed if num_epochs > num_seeds else 0))
            curve = last - 0.5 * np.exp(-epochs / 2) + rng.normal(0, 0.01, len(epochs))
            if not is_failed:
                found[seed] = float(last)
            runs.append(
                {
                    "seed": seed,
                    "folder": f"comparisons/made/runs/{position}--seed-{seed}",
                    "log": f"comparisons/made/logs/{position}--seed-{seed}.txt",
                    "failure": "the loss became nan <here>" if is_failed else "",
                    "figure": None if is_failed else float(last),
                    "figures": None if is_failed else {"test_accuracy": float(last)},
                    "num_epochs": None if is_failed else len(epochs),
                    "seconds": None if is_failed else 12.5 + seed,
                    "curve": None
                    if is_failed
                    else [
                        [int(epoch), float(value)]
                        for epoch, value in zip(epochs, curve, strict=True)
                    ],
                }
            )
        difference = reference and paired_difference(found, reference)
        variants.append(
            {
                "name": name,
                "values": {"training.stages.0.optimizer.name": name},
                "figure": seed_statistics(list(found.values())).to_dict() if found else None,
                "difference": difference.to_dict() if difference else None,
                "runs": runs,
            }
        )
        reference = reference or found
    return {
        "title": "made",
        "metric": metric or "test_accuracy",
        "curve": "val_accuracy",
        "places": ["training.stages.0.optimizer.name"],
        "seeds": list(range(num_seeds)),
        "variants": variants,
    }


def write_run(path: Path, **content) -> None:
    """Writes the report of a run that has nothing but `content`."""
    nothing = {"title": "title", "sets": {}, "classification": None, "epochs": [], "recipe": ""}
    write_report(path, "run", **{**nothing, **content})
