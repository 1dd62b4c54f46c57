"""Classification figures in words: the tables and the sentences of a terminal and of a report.

The figures are the dict that `eval_classification --json` writes, so that a page can be made from
results that were stored.
"""

from collections.abc import Iterator, Mapping

from tfface.reporting.format import align, percent

# What counts first, as a phone shows only so much of a row.
HEADER = ["images of", "accuracy", "balanced", "largest class", "95% interval", "images", "people"]
HEADER += ["top-5", "ECE", "log loss"]
CLASS_HEADER = ["class", "images", "taken for it", "precision", "recall", "F1"]
# Where it is known who was in training.
CLASS_HEADER += ["recall, seen", "recall, not seen"]
_PEOPLE = {
    "seen": "people seen in training",
    "unseen": "people not seen in training",
    "unknown": "people not known",
}
# More rows than these are in the JSON file.
MOST_CLASSES, MOST_GROUPS = 20, 40
_MOST_CONFUSIONS = 3


def parts(figures: Mapping, most_groups: int = MOST_GROUPS) -> Iterator[tuple[str, Mapping]]:
    """Yields (what the images are of, their figures): all, by people, by group.

    Of more than `most_groups`, those with the lowest accuracy.
    """
    yield "all", figures
    for key, words in _PEOPLE.items():
        if figures[key]:
            yield words, figures[key]
    for value in shown_groups(figures, most_groups):
        group = figures["groups"][value]
        name = f"{figures['group_by']}={value}"
        yield name, group
        for key, words in _PEOPLE.items():
            if group[key]:
                yield f"{name}, {words}", group[key]


def shown_groups(figures: Mapping, most: int = MOST_GROUPS) -> list[str]:
    """Returns the groups to be shown, in order."""
    groups = figures["groups"]
    lowest = sorted(groups, key=lambda value: groups[value]["accuracy"])[:most]
    return [value for value in groups if value in lowest]


def table_rows(figures: Mapping) -> list[list[str]]:
    """Returns one row of text for each part, under `HEADER`."""
    return [_row(name, part) for name, part in parts(figures)]


def class_rows(figures: Mapping, most: int = MOST_CLASSES) -> list[list[str]]:
    """Returns one row of text for each class, under `CLASS_HEADER`.

    Of more than `most` classes, those of the data with the lowest F1.
    """
    of_class = figures["per_class"]
    shown = list(of_class)
    if len(shown) > most:
        shown = [name for name in shown if of_class[name]["support"]]
        shown = sorted(shown, key=lambda name: of_class[name]["f1"])[:most]
    rows = []
    for name in shown:
        figures_of = of_class[name]
        rows.append(
            [
                name,
                f"{figures_of['support']:,}",
                f"{figures_of['num_predicted']:,}",
                *(percent(figures_of[key]) for key in ("precision", "recall", "f1")),
                *(
                    percent(figures_of[key]["recall"]) if key in figures_of else ""
                    for key in ("seen", "unseen")
                ),
            ]
        )
    return rows


def as_text(figures: Mapping) -> str:
    """Returns the tables and the sentences."""
    tables = (
        (align(*without_empty_columns(HEADER, table_rows(figures))), group_note(figures)),
        (align(*without_empty_columns(CLASS_HEADER, class_rows(figures))), class_note(figures)),
    )
    lines = ["\n".join(filter(None, table)) for table in tables]
    return "\n\n".join([*lines, "\n".join(sentences(figures))])


def result_rows(model: str, dataset: str, figures: Mapping) -> list[dict[str, object]]:
    """Returns the rows of results: one for each part."""
    rows = []
    for name, part in parts(figures):
        low, high = part["accuracy_interval"]
        rows.append(
            {
                "model": model,
                "dataset": dataset,
                "subset": name,
                "accuracy": part["accuracy"],
                "accuracy_ci_low": low,
                "accuracy_ci_high": high,
                "num_images": part["num_images"],
                "num_identities": part["num_people"],
                "top5_accuracy": part["top5"],
                "macro_recall": part["macro_recall"],
                "ece": part["ece"],
                "log_loss": part["log_loss"],
            }
        )
    return rows


def group_note(figures: Mapping, most: int = MOST_GROUPS) -> str:
    """Returns which groups the table shows, "" where it shows all."""
    num_groups, num_shown = len(figures["groups"]), len(shown_groups(figures, most))
    if num_shown == num_groups:
        return ""
    return f"shown are the {num_shown} of {num_groups:,} groups with the lowest accuracy"


def class_note(figures: Mapping, most: int = MOST_CLASSES) -> str:
    """Returns which classes the table shows, "" where it shows all."""
    num_classes = len(figures["per_class"])
    if num_classes <= most:
        return ""
    return f"shown are the {most} of {num_classes:,} classes with the lowest F1"


def sentences(figures: Mapping) -> list[str]:
    """Returns what a reader should take home."""
    found = [_beside_a_guess(figures)]
    if figures["seen"] and figures["unseen"]:
        unseen = figures["unseen"]
        found.append(
            f"Of the images of the {unseen['num_people']:,} people who were not in training "
            f"{percent(unseen['accuracy'])} ({_interval(unseen)}) were right (balanced accuracy "
            f"{percent(unseen['macro_recall'])}, largest class "
            f"{percent(unseen.get('majority_share'))}), and "
            f"{percent(figures['seen']['accuracy'])} of those who were."
        )
        if unseen["num_classes"] == 1:
            found.append(_of_one_class(figures))
    confusions = confused(figures)[:_MOST_CONFUSIONS]
    if confusions:
        named = "; ".join(
            f"{count:,} of {of:,} images of '{label}' were taken for '{predicted}'"
            for label, predicted, count, of in confusions
        )
        found.append(f"Most often confused: {named}.")
    found.append(calibration_sentence(figures))
    return found


def confused(figures: Mapping) -> list[tuple[str, str, int, int]]:
    """Returns (class, what it was taken for, images, images of the class), the most first."""
    pairs = [
        (label, predicted, count, figures["per_class"][label]["support"])
        for label, row in figures["confusion"].items()
        for predicted, count in row.items()
        if predicted != label
    ]
    return sorted(pairs, key=lambda pair: -pair[2])


def calibration_sentence(figures: Mapping) -> str:
    """Returns how far the model's confidence can be believed."""
    bins = [one for one in figures["calibration"] if one["num_images"]]
    confidence = sum(one["num_images"] * one["confidence"] for one in bins)
    confidence /= figures["num_images"]
    return (
        f"The model's confidence is {percent(confidence)} on average, and it is right in "
        f"{percent(figures['accuracy'])}: expected calibration error {figures['ece']:.3f}."
    )


def without_empty_columns(
    header: list[str], rows: list[list[str]]
) -> tuple[list[str], list[list[str]]]:
    """Leaves out the columns that are empty in all rows."""
    kept = [place for place in range(len(header)) if any(row[place] for row in rows)]
    return [header[place] for place in kept], [[row[place] for place in kept] for row in rows]


def _beside_a_guess(figures: Mapping) -> str:
    """What the accuracy is worth beside always saying the most frequent class."""
    of_class = figures["per_class"]
    largest = max(of_class, key=lambda name: of_class[name]["support"])
    share = of_class[largest]["support"] / figures["num_images"]
    sentence = (
        f"{percent(figures['accuracy'])} of the images are right; always saying '{largest}' would "
        f"be right in {percent(share)}. The mean over the classes is "
        f"{percent(figures['macro_recall'])} (balanced accuracy)"
    )
    if figures["accuracy"] <= share:
        return f"{sentence}: the model is no better than that guess."
    return f"{sentence}."


def _row(name: str, part: Mapping) -> list[str]:
    people = part["num_people"]
    return [
        name,
        percent(part["accuracy"]),
        percent(part["macro_recall"]),
        # Figures that were stored before there was one have none.
        percent(part.get("majority_share")),
        _interval(part),
        f"{part['num_images']:,}",
        "" if people is None else f"{people:,}",
        "" if part["top5"] is None else percent(part["top5"]),
        f"{part['ece']:.3f}",
        f"{part['log_loss']:.3f}",
    ]


def _of_one_class(figures: Mapping) -> str:
    """What to think of an accuracy on new people who are all of one class."""
    [name] = [name for name, one in figures["per_class"].items() if one["unseen"]["support"]]
    sentence = (
        f"All images of people not seen are of '{name}', so it says nothing about other classes"
    )
    if figures["per_class"][name]["seen"]["support"]:
        recall = figures["per_class"][name]["seen"]["recall"]
        sentence += f"; of the people seen, {percent(recall)} of '{name}' were right"
    return sentence + "."


def _interval(part: Mapping) -> str:
    low, high = part["accuracy_interval"]
    return f"{100 * low:.2f} to {100 * high:.2f}%"
