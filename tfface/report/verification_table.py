"""Verification figures in words: the table and the sentences of a terminal and of a report.

A set's figures are the dict that `eval_verification --json` writes for it, so that a page can be
made from results that were stored.
"""

import math
from collections.abc import Mapping

# Finer rates are in the JSON file; few pair sets can tell anything about them.
_SHOWN_FARS = {1e-2: "1e-2", 1e-3: "1e-3", 1e-4: "1e-4"}

HEADER = ["set", "pairs", "accuracy", *(f"TAR@{f}" for f in _SHOWN_FARS.values()), "EER", "AUC"]
FOOTNOTE = "* too few impostor pairs for this FAR: the TAR is that of no false accept at all"


def table_rows(sets: Mapping[str, Mapping]) -> list[list[str]]:
    """Returns one row of text for each set, under `HEADER`."""
    rows = []
    for name, figures in sets.items():
        points = {point["far"]: point for point in figures["tar_at_far"]}
        accuracy = figures["accuracy"]
        rows.append(
            [
                name,
                f"{figures['num_pairs']:,}",
                f"{100 * accuracy['mean']:.2f} +- {100 * accuracy['std']:.2f}%",
                *(
                    f"{100 * points[far]['tar']:.2f}%" + "*" * (not points[far]["sufficient"])
                    for far in _SHOWN_FARS
                ),
                f"{100 * figures['eer']:.2f}%",
                f"{figures['auc']:.4f}",
            ]
        )
    return rows


def as_text(sets: Mapping[str, Mapping]) -> str:
    """Returns the table, its footnote where one is due, and a sentence for each set."""
    lines = [align(HEADER, table_rows(sets))]
    if needs_footnote(sets):
        lines.append(FOOTNOTE)
    return "\n".join(lines + [threshold_sentence(name, sets[name]) for name in sets])


def result_row(model: str, set_name: str, figures: Mapping) -> dict[str, str]:
    """Returns a row of results/verification.csv."""
    [row] = table_rows({set_name: figures})
    return {"model": model, **dict(zip(HEADER, row, strict=True))}


def needs_footnote(sets: Mapping[str, Mapping]) -> bool:
    """Whether a shown TAR is marked as resting on too few impostor pairs."""
    return any(cell.endswith("*") for row in table_rows(sets) for cell in row)


def threshold_sentence(name: str, figures: Mapping) -> str:
    """Returns what a user of the model needs to know: from which similarity on to accept."""
    threshold = figures["threshold"]
    sentence = (
        f"{name}: accept two images as one person when cosine >= {threshold['cosine']:.3f} "
        f"(squared L2 <= {threshold['squared_l2']:.3f})"
    )
    strict = [p for p in figures["tar_at_far"] if p["sufficient"] and p["far"] <= 1e-2]
    if strict:
        point = min(strict, key=lambda point: point["far"])
        impostors = f"{round(1 / point['far']):,} impostors"
        # Rounded up: rounded down it could let one pair more in than is promised.
        cosine = math.ceil(1000 * point["threshold_cosine"]) / 1000
        if cosine <= 1:
            sentence += f"; for at most 1 false accept in {impostors} when cosine >= {cosine:.3f}"
        else:
            sentence += f"; no cosine up to 1 gives so few as 1 false accept in {impostors}"
    return sentence + "."


def align(header: list[str], rows: list[list[str]]) -> str:
    """Returns a table as text: the first column to the left, the others to the right."""
    table = [header, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )
