"""Verification figures in words: the table and the sentences of a terminal and of a report.

A set's figures are the dict that `eval_verification --json` writes for it, so that a page can be
made from results that were stored.
"""

import math
from collections.abc import Mapping

from tfface.reporting.format import MISSING, align, percent

_SHOWN_FARS = {1e-2: "1e-2", 1e-3: "1e-3", 1e-4: "1e-4"}
# Shown where a set has pairs enough to tell anything about them; they always are in the JSON file.
_FINER_FARS = {1e-5: "1e-5", 1e-6: "1e-6"}
_INTERVAL = "95% CI"
# From this share of one kind of pairs on, accuracy needs a word of warning.
_LOPSIDED = 0.6
_MOST_COLUMNS = 100
_MOST_GROUPS = 40

# The least that a table has.
HEADER = ["set", "pairs", "accuracy", *(f"TAR@{f}" for f in _SHOWN_FARS.values()), "EER", "AUC"]
GROUP_HEADER = ["set / group", "pairs", "genuine", "accuracy", "FAR", "TAR", "EER", "AUC"]
GROUP_NOTE = "FAR and TAR of groups are at the set's threshold"
FOOTNOTE = "* too few impostor pairs for this FAR: the TAR is that of no false accept at all"


def header(sets: Mapping[str, Mapping]) -> list[str]:
    """Returns the names of the columns that `table_rows` fills: `HEADER`, and what there is more.

    That is the 95 % interval of the accuracy, and TARs at finer FARs.
    """
    named = [_cells("", figures, sets) for figures in sets.values()]
    return list(named[0]) if named else HEADER


def table_rows(sets: Mapping[str, Mapping]) -> list[list[str]]:
    """Returns one row of text for each set, under `header`."""
    return [list(_cells(name, figures, sets).values()) for name, figures in sets.items()]


def _cells(name: str, figures: Mapping, sets: Mapping[str, Mapping]) -> dict[str, str]:
    """Returns the cells of a set's row by the names of their columns."""
    points = {point["far"]: point for point in figures["tar_at_far"]}
    accuracy = figures["accuracy"]
    cells = {"set": name, "pairs": f"{figures['num_pairs']:,}", "accuracy": MISSING}
    if accuracy:
        cells["accuracy"] = f"{100 * accuracy['mean']:.2f} +- {100 * accuracy['std']:.2f}%"
    if any(_accuracy_interval(of_set) for of_set in sets.values()):
        cells[_INTERVAL] = interval_text(_accuracy_interval(figures))
    finer = {far: text for far, text in _FINER_FARS.items() if _is_sufficient(far, sets)}
    for far, text in (_SHOWN_FARS | finer).items():
        point = points.get(far)
        cells[f"TAR@{text}"] = (
            percent(point["tar"]) + "*" * (not point["sufficient"]) if point else MISSING
        )
    return cells | {"EER": percent(figures["eer"]), "AUC": f"{figures['auc']:.4f}"}


def interval_text(interval: list[float] | None) -> str:
    """Returns an interval [low, high] of shares in percent, as 99.04-99.54."""
    return "-".join(f"{100 * end:.2f}" for end in interval) if interval else MISSING


def _accuracy_interval(figures: Mapping) -> list[float] | None:
    return (figures["accuracy"] or {}).get("interval")


def _is_sufficient(far: float, sets: Mapping[str, Mapping]) -> bool:
    return any(
        point["far"] == far and point["sufficient"]
        for figures in sets.values()
        for point in figures["tar_at_far"]
    )


def group_rows(sets: Mapping[str, Mapping]) -> list[list[str]]:
    """Returns one row of text for each group of each set's pairs, under `GROUP_HEADER`.

    FAR and TAR are at the set's threshold, which is that of its accuracy as well.
    """
    return [
        [
            f"{name} / {group}",
            f"{figures['num_pairs']:,}",
            f"{figures['num_genuine']:,}",
            percent(figures["accuracy"]),
            percent(figures["far"]),
            percent(figures["tar"]),
            percent(figures["eer"]),
            MISSING if figures["auc"] is None else f"{figures['auc']:.4f}",
        ]
        for name, of_set in sets.items()
        for group, figures in (of_set.get("groups") or {}).items()
    ]


def as_text(sets: Mapping[str, Mapping]) -> str:
    """Returns the tables of sets and of groups, their notes, and a sentence for each set."""
    table = [header(sets), *table_rows(sets)]
    text, footnotes = align(table[0], table[1:]), notes(sets)
    if len(text.partition("\n")[0]) > _MOST_COLUMNS and _INTERVAL in table[0]:
        place = table[0].index(_INTERVAL)
        table = [row[:place] + row[place + 1 :] for row in table]
        text = align(table[0], table[1:])
        footnotes = [note for note in footnotes if not note.startswith(_INTERVAL)]
    lines = [text, *footnotes]
    if groups := group_rows(sets):
        lines.append(align(GROUP_HEADER, groups[:_MOST_GROUPS]))
        if len(groups) > _MOST_GROUPS:
            lines.append(
                f"and {len(groups) - _MOST_GROUPS:,} more groups, which are in the JSON file"
            )
        lines.append(GROUP_NOTE)
    return "\n".join(lines + [threshold_sentence(name, sets[name]) for name in sets])


def notes(sets: Mapping[str, Mapping]) -> list[str]:
    """Returns the footnotes that the table of sets needs."""
    found = [FOOTNOTE] if needs_footnote(sets) else []
    by = {name: of_set.get("interval_by") for name, of_set in sets.items()}
    over_pairs = [name for name in by if by[name] == "pair"]
    if "identity" in by.values() or over_pairs:
        note = f"{_INTERVAL}: of the accuracy, by bootstrap"
        if "identity" in by.values():
            note += " over people" + f"; of {', '.join(over_pairs)}" * bool(over_pairs)
        if over_pairs:
            note += " over pairs, which is too narrow where people repeat"
        found.append(note)
    for name, of_set in sets.items():
        genuine, pairs = of_set["num_genuine"], of_set["num_pairs"]
        if of_set["accuracy"] and max(genuine, pairs - genuine) > _LOPSIDED * pairs:
            share = percent(max(genuine, pairs - genuine) / pairs)
            found.append(
                f"{name}: {genuine:,} of {pairs:,} pairs are genuine, so an accuracy of {share} is "
                "had by giving all pairs one answer: look at TAR, EER and AUC"
            )
    return found


def result_row(model: str, set_name: str, figures: Mapping) -> dict[str, object]:
    """Returns a row of results."""
    points = {point["far"]: point for point in figures["tar_at_far"]}
    accuracy = figures["accuracy"] or {}
    low, high = _accuracy_interval(figures) or (None, None)
    row = {
        "model": model,
        "pair_set": set_name,
        "num_pairs": figures["num_pairs"],
        "accuracy_mean": accuracy.get("mean"),
        "accuracy_std": accuracy.get("std"),
        "accuracy_ci_low": low,
        "accuracy_ci_high": high,
    }
    for far, text in _SHOWN_FARS.items():
        point = points.get(far, {})
        row[f"tar_at_far_{text}"] = point.get("tar")
        row[f"tar_at_far_{text}_sufficient"] = point.get("sufficient")
    return row | {"eer": figures["eer"], "auc": figures["auc"]}


def needs_footnote(sets: Mapping[str, Mapping]) -> bool:
    """Whether a shown TAR is marked as resting on too few impostor pairs."""
    return any(cell.endswith("*") for row in table_rows(sets) for cell in row)


def threshold_sentence(name: str, figures: Mapping) -> str:
    """Returns what a user of the model needs to know: from which similarity on to accept."""
    threshold = figures["threshold"]
    sentences = []
    if threshold:
        sentences.append(
            f"accept two images as one person when cosine >= {threshold['cosine']:.3f} "
            f"(squared L2 <= {threshold['squared_l2']:.3f})"
        )
    strict = [p for p in figures["tar_at_far"] if p["sufficient"] and p["far"] <= 1e-2]
    if strict:
        point = min(strict, key=lambda point: point["far"])
        impostors = f"{round(1 / point['far']):,} impostors"
        # Rounded up: rounded down it could let one pair more in than is promised.
        cosine = math.ceil(1000 * point["threshold_cosine"]) / 1000
        if cosine <= 1:
            sentences.append(
                f"for at most 1 false accept in {impostors} when cosine >= {cosine:.3f}"
            )
        else:
            sentences.append(f"no cosine up to 1 gives so few as 1 false accept in {impostors}")
    return f"{name}: {'; '.join(sentences) or 'too few impostor pairs to name a threshold'}."
