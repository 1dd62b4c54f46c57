"""report.html of a classification."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tfface.reporting import page
from tfface.reporting.classification_table import (
    CLASS_HEADER,
    HEADER,
    class_note,
    class_rows,
    confused,
    group_note,
    sentences,
    table_rows,
    without_empty_columns,
)
from tfface.reporting.format import percent

# A page shows more than a terminal; all is in the JSON file.
_MOST_CLASSES, _MOST_CONFUSIONS = 100, 20


def write_classification_report(
    path: Path,
    *,
    title: str,
    figures: Mapping,
    pictures: Sequence[page.Picture] = (),
    remarks: Sequence[str] = (),
    environment: Mapping[str, object] | None = None,
) -> None:
    """Writes the page.

    Args:
        path: the HTML file.
        title: what was classified by which model.
        figures: what `eval_classification --json` writes.
        pictures: they are copied into the page.
        remarks: sentences about how the figures came about.
        environment: versions and hardware.
    Raises InputError: a picture can't be read, or the page can't be written.
    """
    parts = [page.summary(_tiles(figures)), page.items([*sentences(figures), *remarks])]
    parts += figure_sections(figures)
    if pictures:
        parts.append(page.section("Pictures", *page.shown(pictures)))
    if environment:
        parts.append(page.environment_section(environment))
    page.write_page(path, title, parts)


def classification_section(figures: Mapping) -> str:
    """Returns the figures as a part of another page.

    Args:
        figures: what `eval_classification --json` writes.
    """
    summary = [page.summary(_tiles(figures)), page.items(sentences(figures))]
    return "\n".join([page.section("Classification", *summary), *figure_sections(figures)])


def figure_sections(figures: Mapping) -> list[str]:
    """Returns the tables: of all images, of classes, and of what was confused."""
    table = page.table(*without_empty_columns(HEADER, table_rows(figures)))
    below = [page.note(note) for note in (group_note(figures), _INTERVAL_NOTE) if note]
    parts = [page.section("Figures", table, *below)]
    rows = class_rows(figures, _MOST_CLASSES)
    classes = [page.table(*without_empty_columns(CLASS_HEADER, rows))]
    if note := class_note(figures, _MOST_CLASSES):
        classes.append(page.note(note))
    parts.append(page.section("Classes", *classes))
    if confusions := confused(figures):
        header = ["class", "taken for", "images", "of"]
        rows = [
            [label, predicted, f"{count:,}", f"{of:,}"]
            for label, predicted, count, of in confusions[:_MOST_CONFUSIONS]
        ]
        parts.append(page.section("Confused most often", page.table(header, rows)))
    return parts


_INTERVAL_NOTE = (
    "The 95% intervals take images as drawn independently; where many of them show few people, the "
    "truth may lie further off."
)


def _tiles(figures: Mapping) -> list[tuple[str, str]]:
    tiles = [
        ("accuracy", percent(figures["accuracy"])),
        ("balanced accuracy", percent(figures["macro_recall"])),
        ("largest class", percent(figures.get("majority_share"))),
    ]
    for key, words in (("seen", "people seen"), ("unseen", "people not seen")):
        if figures[key]:
            tiles.append((f"accuracy, {words}", percent(figures[key]["accuracy"])))
    if figures["top5"] is not None:
        tiles.append(("top-5", percent(figures["top5"])))
    return [
        *tiles,
        ("macro F1", percent(figures["macro_f1"])),
        ("calibration error", f"{figures['ece']:.3f}"),
        ("log loss", f"{figures['log_loss']:.3f}"),
        ("images", f"{figures['num_images']:,}"),
        ("classes", f"{len(figures['per_class']):,}"),
    ]
