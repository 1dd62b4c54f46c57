"""Verification on a page: as a part of a run's report, and as a page of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tfface.reporting import page
from tfface.reporting.verification_table import (
    GROUP_HEADER,
    GROUP_NOTE,
    group_rows,
    header,
    interval_text,
    notes,
    table_rows,
    threshold_sentence,
)

_FAR_HEADER = ["FAR", "TAR", "95% CI", "measured FAR", "cosine >=", "pairs enough"]


def write_verification_report(
    path: Path,
    model: str,
    sets: Mapping[str, Mapping],
    *,
    pictures: Sequence[page.Picture],
    environment: Mapping[str, object],
    warnings: Sequence[str] = (),
) -> None:
    """Writes a page about one model on all pair sets.

    Args:
        path: the HTML file.
        model: what was evaluated.
        sets: pair set -> its figures (`VerificationResult.to_json()`).
        pictures: those of a set stand with its figures, the others above all sets.
        environment: versions and hardware.
        warnings: what a reader has to know before any figure.
    Raises InputError: a picture can't be read, or the page can't be written.
    """
    parts = [page.warnings(warnings)]
    if len(sets) == 1:
        parts += [page.summary(_tiles(figures)) for figures in sets.values()]
    parts.append(verification_section(sets))
    parts += _shown(pictures, None)
    for name, figures in sets.items():
        parts.append(page.section(name, _fars(figures), *_shown(pictures, name)))
    parts.append(page.environment_section(environment))
    page.write_page(path, f"{model}: verification", parts)


def verification_section(sets: Mapping[str, Mapping]) -> str:
    """Returns the table of all sets, and which threshold to use.

    Args:
        sets: pair set -> its figures (`VerificationResult.to_json()`).
    """
    rows = [[cell.replace("+-", "\u00b1") for cell in row] for row in table_rows(sets)]
    parts = [page.table(header(sets), rows)]
    parts += [page.note(note) for note in notes(sets)]
    if groups := group_rows(sets):
        parts += [page.table(GROUP_HEADER, groups), page.note(GROUP_NOTE)]
    parts.append(page.items(threshold_sentence(*item) for item in sets.items()))
    return page.section("Verification", *parts)


def _tiles(figures: Mapping) -> list[tuple[str, str]]:
    accuracy, threshold = figures["accuracy"], figures["threshold"]
    tiles = []
    if accuracy and threshold:
        tiles = [
            ("accuracy", f"{100 * accuracy['mean']:.2f} \u00b1 {100 * accuracy['std']:.2f}%"),
            ("accept from cosine", f"{threshold['cosine']:.3f}"),
        ]
    return [
        *tiles,
        ("EER", f"{100 * figures['eer']:.2f}%"),
        ("AUC", f"{figures['auc']:.4f}"),
        ("genuine pairs", f"{figures['num_genuine']:,}"),
        ("impostor pairs", f"{figures['num_pairs'] - figures['num_genuine']:,}"),
    ]


def _fars(figures: Mapping) -> str:
    rows = [
        [
            f"{point['far']:g}",
            f"{100 * point['tar']:.2f}%",
            interval_text(point.get("interval")),
            f"{point['measured_far']:.3g}",
            f"{point['threshold_cosine']:.3f}",
            "yes" if point["sufficient"] else "no",
        ]
        for point in figures["tar_at_far"]
    ]
    return page.table(_FAR_HEADER, rows)


def _shown(pictures: Sequence[page.Picture], pair_set: str | None) -> list[str]:
    return page.shown(one for one in pictures if one.section == pair_set)
