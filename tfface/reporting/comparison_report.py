"""report.html of a comparison."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tfface.reporting import page
from tfface.reporting.comparison_table import (
    failures,
    header,
    metric_words,
    notes,
    run_rows,
    table_rows,
)


def write_comparison_report(
    path: Path,
    figures: Mapping,
    *,
    pictures: Sequence[page.Picture] = (),
    recipe: str = "",
    environment: Mapping[str, object] | None = None,
) -> None:
    """Writes the page.

    Args:
        path: the HTML file.
        figures: what `compare --json` writes.
        pictures: they are copied into the page.
        recipe: that of the first variant, YAML.
        environment: versions and hardware.
    Raises InputError: a picture can't be read, or the page can't be written.
    """
    failed = failures(figures)
    heading = "Some runs failed; the figures are of the others."
    parts = [page.warnings([heading, *failed] if failed else [])]
    rows = [[cell.replace("+-", "\u00b1") for cell in row] for row in table_rows(figures)]
    places = ", ".join(figures["places"])
    what = f"Varied: {places}." if places else "Nothing is varied but the seed."
    below = [page.note(note.replace("+-", "\u00b1")) for note in notes(figures)]
    parts.append(
        page.section(
            f"Variants by {metric_words(figures['metric'])}",
            page.text(what),
            page.table(header(figures), rows),
            *below,
        )
    )
    parts += page.shown(pictures)
    parts.append(page.section("Runs", page.table(*run_rows(figures))))
    if recipe:
        note = page.note("Of the first variant and seed; the others differ in what is varied.")
        parts.append(page.section("Recipe", note, page.code(recipe)))
    if environment:
        parts.append(page.environment_section(environment))
    page.write_page(path, f"{figures['title']}: comparison", parts)
