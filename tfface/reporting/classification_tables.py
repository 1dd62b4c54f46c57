"""Tables and sentences of classification metrics, for terminals and HTML reports.

The metrics are the dict that `tfface evaluate classification --json` writes, so that reports can
also be made from stored results.
"""

from collections.abc import Iterator, Mapping

from tfface.reporting.format import Table, percent, percent_interval

_IDENTITIES = {
    "seen": "seen identities",
    "unseen": "unseen identities",
    "unknown": "unknown identities",
}
# The JSON file has all rows.
_MAX_CLASSES, _MAX_GROUPS, _MAX_CONFUSIONS = 20, 40, 3


def to_text(metrics: Mapping) -> str:
    """Returns the tables and the sentences."""
    tables = [summary_table(metrics).to_text(), class_table(metrics).to_text()]
    return "\n\n".join([*tables, "\n".join(sentences(metrics))])


def subsets(metrics: Mapping, max_groups: int = _MAX_GROUPS) -> Iterator[tuple[str, Mapping]]:
    """Yields (subset, metrics): all images, then those by identities and by groups.

    Args:
        max_groups: if there are more groups, only those with the lowest accuracy are included.
    """
    yield "all", metrics
    for key, words in _IDENTITIES.items():
        if metrics[key]:
            yield words, metrics[key]
    for value in _shown_groups(metrics, max_groups):
        group = metrics["groups"][value]
        name = f"{metrics['group_by']}={value}"
        yield name, group
        for key, words in _IDENTITIES.items():
            if group[key]:
                yield f"{name}, {words}", group[key]


def summary_table(metrics: Mapping, max_groups: int = _MAX_GROUPS) -> Table:
    """Returns a table with a row for each subset."""
    # The most important columns first: a phone does not show all.
    header = ["subset", "accuracy", "balanced", "largest class", "95% CI", "images", "identities"]
    header += ["top-5", "ECE", "log loss"]
    rows = [_summary_row(name, subset) for name, subset in subsets(metrics, max_groups)]
    note = group_note(metrics, max_groups)
    return Table(header, rows, [note] if note else []).without_empty_columns()


def group_note(metrics: Mapping, max_groups: int = _MAX_GROUPS) -> str:
    """Returns which groups are shown; "" for all."""
    num_groups, num_shown = len(metrics["groups"]), len(_shown_groups(metrics, max_groups))
    if num_shown == num_groups:
        return ""
    return f"the {num_shown} of {num_groups:,} groups with the lowest accuracy"


def class_table(metrics: Mapping, max_classes: int = _MAX_CLASSES) -> Table:
    """Returns a table with a row for each class.

    Args:
        max_classes: if there are more, only those with the lowest F1 are included.
    """
    header = ["class", "images", "predicted", "precision", "recall", "F1"]
    header += ["recall, seen", "recall, unseen"]
    of_class = metrics["per_class"]
    shown, notes = list(of_class), []
    if len(shown) > max_classes:
        shown = [name for name in shown if of_class[name]["support"]]
        shown = sorted(shown, key=lambda name: of_class[name]["f1"])[:max_classes]
        notes = [f"the {max_classes} of {len(of_class):,} classes with the lowest F1"]
    rows = [
        [
            name,
            f"{of_class[name]['support']:,}",
            f"{of_class[name]['num_predicted']:,}",
            *(percent(of_class[name][key]) for key in ("precision", "recall", "f1")),
            *(
                percent(of_class[name][key]["recall"]) if key in of_class[name] else ""
                for key in ("seen", "unseen")
            ),
        ]
        for name in shown
    ]
    return Table(header, rows, notes).without_empty_columns()


def confusion_table(metrics: Mapping, max_rows: int) -> Table | None:
    """Returns the most frequent confusions; None without any."""
    header = ["class", "predicted as", "images", "of"]
    rows = [
        [label, predicted, f"{count:,}", f"{of:,}"]
        for label, predicted, count, of in confusions(metrics)[:max_rows]
    ]
    return Table(header, rows) if rows else None


def confusions(metrics: Mapping) -> list[tuple[str, str, int, int]]:
    """Returns (class, predicted class, images, images of the class), most images first."""
    pairs = [
        (label, predicted, count, metrics["per_class"][label]["support"])
        for label, row in metrics["confusion"].items()
        for predicted, count in row.items()
        if predicted != label
    ]
    return sorted(pairs, key=lambda pair: -pair[2])


def key_metrics(metrics: Mapping) -> list[tuple[str, str]]:
    """Returns the most important (label, value)."""
    found = [
        ("accuracy", percent(metrics["accuracy"])),
        ("balanced accuracy", percent(metrics["macro_recall"])),
        ("largest class", percent(metrics.get("majority_share"))),
    ]
    for key in ("seen", "unseen"):
        if metrics[key]:
            found.append((f"accuracy, {key} identities", percent(metrics[key]["accuracy"])))
    if metrics["top5"] is not None:
        found.append(("top-5 accuracy", percent(metrics["top5"])))
    return [
        *found,
        ("macro F1", percent(metrics["macro_f1"])),
        ("calibration error (ECE)", f"{metrics['ece']:.3f}"),
        ("log loss", f"{metrics['log_loss']:.3f}"),
        ("images", f"{metrics['num_images']:,}"),
        ("classes", f"{len(metrics['per_class']):,}"),
    ]


def sentences(metrics: Mapping) -> list[str]:
    """Returns the main results in sentences."""
    found = [_baseline_sentence(metrics)]
    if metrics["seen"] and metrics["unseen"]:
        unseen = metrics["unseen"]
        interval = percent_interval(unseen["accuracy_interval"])
        found.append(
            f"Accuracy on {unseen['num_people']:,} identities unseen in training: "
            f"{percent(unseen['accuracy'])} (95% CI {interval}, "
            f"balanced accuracy {percent(unseen['macro_recall'])}, largest class "
            f"{percent(unseen.get('majority_share'))}); on seen identities: "
            f"{percent(metrics['seen']['accuracy'])}."
        )
        if unseen["num_classes"] == 1:
            found.append(_single_class_sentence(metrics))
    if most := confusions(metrics)[:_MAX_CONFUSIONS]:
        listed = "; ".join(
            f"{count:,} of {of:,} images of '{label}' predicted as '{predicted}'"
            for label, predicted, count, of in most
        )
        found.append(f"Most frequent confusions: {listed}.")
    bins = [one for one in metrics["calibration"] if one["num_images"]]
    confidence = sum(one["num_images"] * one["confidence"] for one in bins)
    confidence /= metrics["num_images"]
    found.append(
        f"Mean confidence {percent(confidence)} at an accuracy of {percent(metrics['accuracy'])}: "
        f"expected calibration error {metrics['ece']:.3f}."
    )
    return found


def result_rows(model: str, dataset: str, metrics: Mapping) -> list[dict[str, object]]:
    """Returns rows of results/*.csv: one for each subset."""
    rows = []
    for name, subset in subsets(metrics):
        low, high = subset["accuracy_interval"]
        rows.append(
            {
                "model": model,
                "dataset": dataset,
                "subset": name,
                "accuracy": subset["accuracy"],
                "accuracy_ci_low": low,
                "accuracy_ci_high": high,
                "num_images": subset["num_images"],
                "num_identities": subset["num_people"],
                "top5_accuracy": subset["top5"],
                "macro_recall": subset["macro_recall"],
                "ece": subset["ece"],
                "log_loss": subset["log_loss"],
            }
        )
    return rows


def _shown_groups(metrics: Mapping, max_groups: int) -> list[str]:
    groups = metrics["groups"]
    lowest = sorted(groups, key=lambda value: groups[value]["accuracy"])[:max_groups]
    return [value for value in groups if value in lowest]


def _summary_row(name: str, metrics: Mapping) -> list[str]:
    identities, top5 = metrics["num_people"], metrics["top5"]
    return [
        name,
        percent(metrics["accuracy"]),
        percent(metrics["macro_recall"]),
        # Missing in files of older versions.
        percent(metrics.get("majority_share")),
        percent_interval(metrics["accuracy_interval"]),
        f"{metrics['num_images']:,}",
        "" if identities is None else f"{identities:,}",
        "" if top5 is None else percent(top5),
        f"{metrics['ece']:.3f}",
        f"{metrics['log_loss']:.3f}",
    ]


def _baseline_sentence(metrics: Mapping) -> str:
    """Compares the accuracy with that of always predicting the largest class."""
    of_class = metrics["per_class"]
    largest = max(of_class, key=lambda name: of_class[name]["support"])
    share = of_class[largest]["support"] / metrics["num_images"]
    sentence = (
        f"Accuracy {percent(metrics['accuracy'])}, balanced accuracy (mean over the classes) "
        f"{percent(metrics['macro_recall'])}; always predicting '{largest}' has an accuracy of "
        f"{percent(share)}"
    )
    if metrics["accuracy"] <= share:
        return f"{sentence}: the model is no better than that."
    return f"{sentence}."


def _single_class_sentence(metrics: Mapping) -> str:
    """Explains the accuracy on unseen identities of a single class."""
    [name] = [name for name, one in metrics["per_class"].items() if one["unseen"]["support"]]
    sentence = f"All images of unseen identities are of '{name}': other classes are not measured"
    if metrics["per_class"][name]["seen"]["support"]:
        recall = metrics["per_class"][name]["seen"]["recall"]
        sentence += f"; the recall of '{name}' on seen identities is {percent(recall)}"
    return sentence + "."
