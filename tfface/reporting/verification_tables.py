"""Tables and sentences of verification metrics, for terminals and HTML reports.

The metrics of a set are the dict that `tfface evaluate verification --json` writes for it, so that
reports can also be made from stored results.
"""

import math
from collections.abc import Mapping

from tfface.reporting.format import MISSING, Table, mean_and_deviation, percent, percent_interval
from tfface.reporting.result_columns import SHOWN_FARS

# Shown if a set has enough pairs; the JSON file always has them.
_FINER_FARS = {1e-5: "1e-5", 1e-6: "1e-6"}
_INTERVAL = "95% CI"
# From this share of one kind of pairs on, accuracy is misleading.
_IMBALANCED = 0.6
_MAX_TEXT_WIDTH = 100
_MAX_GROUPS = 40
_INSUFFICIENT = "* too few impostor pairs to measure this FAR: the TAR is at FAR 0"


def to_text(sets: Mapping[str, Mapping]) -> str:
    """Returns the tables of sets and subgroups with their notes, and a sentence for each set.

    Args:
        sets: pair set -> metrics.
    """
    table = summary_table(sets)
    text = table.to_text()
    if len(text.partition("\n")[0]) > _MAX_TEXT_WIDTH:
        notes = [note for note in table.notes if not note.startswith(_INTERVAL)]
        text = Table(table.header, table.rows, notes).without(_INTERVAL).to_text()
    parts = [text]
    if groups := group_table(sets):
        hidden = len(groups.rows) - _MAX_GROUPS
        more = [f"and {hidden:,} more subgroups in the JSON file"] if hidden > 0 else []
        shown = Table(groups.header, groups.rows[:_MAX_GROUPS], [*more, *groups.notes])
        parts.append(shown.to_text())
    return "\n".join([*parts, *(threshold_sentence(name, sets[name]) for name in sets)])


def summary_table(sets: Mapping[str, Mapping]) -> Table:
    """Returns a table with a row for each set.

    Intervals and finer FARs have columns only if at least one set has them.
    """
    rows = [_summary_cells(name, metrics, sets) for name, metrics in sets.items()]
    return Table(list(rows[0]), [list(row.values()) for row in rows], _summary_notes(sets, rows))


def _summary_cells(name: str, metrics: Mapping, sets: Mapping[str, Mapping]) -> dict[str, str]:
    """Returns column -> cell of the row of a set."""
    points = {point["far"]: point for point in metrics["tar_at_far"]}
    accuracy = metrics["accuracy"]
    cells = {"set": name, "pairs": f"{metrics['num_pairs']:,}", "accuracy": MISSING}
    if accuracy:
        cells["accuracy"] = mean_and_deviation(percent(accuracy["mean"]), percent(accuracy["std"]))
    if any(_accuracy_interval(of_set) for of_set in sets.values()):
        cells[_INTERVAL] = percent_interval(_accuracy_interval(metrics))
    finer = {far: text for far, text in _FINER_FARS.items() if _is_sufficient(far, sets)}
    for far, text in (SHOWN_FARS | finer).items():
        point = points.get(far)
        cells[f"TAR@{text}"] = (
            percent(point["tar"]) + "*" * (not point["sufficient"]) if point else MISSING
        )
    return cells | {"EER": percent(metrics["eer"]), "AUC": f"{metrics['auc']:.4f}"}


def _accuracy_interval(metrics: Mapping) -> list[float] | None:
    return (metrics["accuracy"] or {}).get("interval")


def _is_sufficient(far: float, sets: Mapping[str, Mapping]) -> bool:
    return any(
        point["far"] == far and point["sufficient"]
        for metrics in sets.values()
        for point in metrics["tar_at_far"]
    )


def _summary_notes(sets: Mapping[str, Mapping], rows: list[dict[str, str]]) -> list[str]:
    notes = []
    if any(cell.endswith("*") for row in rows for cell in row.values()):
        notes.append(_INSUFFICIENT)
    by = {name: metrics.get("interval_by") for name, metrics in sets.items()}
    by_pair = [name for name in by if by[name] == "pair"]
    methods = ["bootstrap over identities"] if "identity" in by.values() else []
    if by_pair:
        which = f"for {', '.join(by_pair)} over pairs" if methods else "bootstrap over pairs"
        methods.append(f"{which}, which is too narrow if identities repeat")
    if methods:
        notes.append(f"{_INTERVAL} of the accuracy: {'; '.join(methods)}")
    for name, metrics in sets.items():
        genuine, pairs = metrics["num_genuine"], metrics["num_pairs"]
        if metrics["accuracy"] and max(genuine, pairs - genuine) > _IMBALANCED * pairs:
            share = percent(max(genuine, pairs - genuine) / pairs)
            notes.append(
                f"{name}: {genuine:,} of {pairs:,} pairs are genuine, so a constant prediction "
                f"has an accuracy of {share}: use TAR, EER and AUC"
            )
    return notes


def group_table(sets: Mapping[str, Mapping]) -> Table | None:
    """Returns a table with a row for each subgroup of each set; None without subgroups."""
    header = ["set / subgroup", "pairs", "genuine", "accuracy", "FAR", "TAR", "EER", "AUC"]
    rows = [
        [
            f"{name} / {group}",
            f"{metrics['num_pairs']:,}",
            f"{metrics['num_genuine']:,}",
            *(percent(metrics[key]) for key in ("accuracy", "far", "tar", "eer")),
            MISSING if metrics["auc"] is None else f"{metrics['auc']:.4f}",
        ]
        for name, of_set in sets.items()
        for group, metrics in (of_set.get("groups") or {}).items()
    ]
    note = "FAR and TAR of subgroups are at the threshold of the whole set"
    return Table(header, rows, [note]) if rows else None


def far_table(metrics: Mapping) -> Table:
    """Returns a table with a row for each FAR."""
    header = ["FAR", "TAR", _INTERVAL, "measured FAR", "cosine >=", "enough pairs"]
    rows = [
        [
            f"{point['far']:g}",
            percent(point["tar"]),
            percent_interval(point.get("interval")),
            f"{point['measured_far']:.3g}",
            f"{point['threshold_cosine']:.3f}",
            "yes" if point["sufficient"] else "no",
        ]
        for point in metrics["tar_at_far"]
    ]
    return Table(header, rows)


def key_metrics(metrics: Mapping) -> list[tuple[str, str]]:
    """Returns the most important (label, value) of one set."""
    accuracy, threshold = metrics["accuracy"], metrics["threshold"]
    found = []
    if accuracy and threshold:
        mean_and_std = mean_and_deviation(percent(accuracy["mean"]), percent(accuracy["std"]))
        found = [("accuracy", mean_and_std), ("accept if cosine >=", f"{threshold['cosine']:.3f}")]
    return [
        *found,
        ("EER", percent(metrics["eer"])),
        ("AUC", f"{metrics['auc']:.4f}"),
        ("genuine pairs", f"{metrics['num_genuine']:,}"),
        ("impostor pairs", f"{metrics['num_pairs'] - metrics['num_genuine']:,}"),
    ]


# An AUC that few pairs and a bad model hardly have by chance.
_SWAPPED = 0.4


def threshold_sentence(name: str, metrics: Mapping) -> str:
    """Returns the recommended thresholds of a set."""
    if metrics["auc"] < 0.5:
        ask = " Are the labels swapped?" if metrics["auc"] < _SWAPPED else ""
        return (
            f"{name}: no threshold: impostor pairs are more similar than genuine ones (AUC "
            f"{metrics['auc']:.4f}).{ask}"
        )
    threshold = metrics["threshold"]
    sentences = []
    if threshold:
        sentences.append(
            f"same identity if cosine >= {threshold['cosine']:.3f} "
            f"(squared L2 <= {threshold['squared_l2']:.3f})"
        )
    strict = [p for p in metrics["tar_at_far"] if p["sufficient"] and p["far"] <= 1e-2]
    if strict:
        point = min(strict, key=lambda point: point["far"])
        rate = f"at most 1 false accept in {round(1 / point['far']):,} impostor pairs"
        # Rounded up: rounding down could accept one pair more than stated.
        cosine = math.ceil(1000 * point["threshold_cosine"]) / 1000
        if threshold and cosine <= threshold["cosine"]:
            sentences.append(f"that is {rate}, too")
        elif cosine <= 1:
            sentences.append(f"{rate} if cosine >= {cosine:.3f}")
        else:
            sentences.append(f"no cosine threshold <= 1 has {rate}")
    return f"{name}: {'; '.join(sentences) or 'too few impostor pairs to recommend a threshold'}."


def result_row(model: str, set_name: str, metrics: Mapping) -> dict[str, object]:
    """Returns a row of results/*.csv."""
    points = {point["far"]: point for point in metrics["tar_at_far"]}
    accuracy = metrics["accuracy"] or {}
    low, high = _accuracy_interval(metrics) or (None, None)
    row = {
        "model": model,
        "pair_set": set_name,
        "num_pairs": metrics["num_pairs"],
        "accuracy_mean": accuracy.get("mean"),
        "accuracy_std": accuracy.get("std"),
        "accuracy_ci_low": low,
        "accuracy_ci_high": high,
    }
    for far, text in SHOWN_FARS.items():
        point = points.get(far, {})
        row[f"tar_at_far_{text}"] = point.get("tar")
        row[f"tar_at_far_{text}_sufficient"] = point.get("sufficient")
    return row | {"eer": metrics["eer"], "auc": metrics["auc"]}
