"""report.html of a training run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tfface.reporting import page
from tfface.reporting.classification_report import classification_section
from tfface.reporting.verification_report import verification_section


def write_run_report(
    path: Path,
    *,
    title: str,
    classification: Mapping | None = None,
    verification: Mapping[str, Mapping] | None = None,
    pictures: Sequence[page.Picture] = (),
    epochs: Sequence[Mapping[str, object]] = (),
    recipe: str = "",
    environment: Mapping[str, object] | None = None,
) -> None:
    """Writes the page; a part that isn't given is left out.

    Args:
        path: the HTML file.
        title: what was run.
        classification: what `eval_classification --json` writes.
        verification: pair set -> its figures (`VerificationResult.to_json()`).
        pictures: shown in this order; they are copied into the page.
        epochs: records of epochs, shown as a table.
        recipe: the recipe as it was run, YAML.
        environment: versions and hardware; a value may be any JSON value.

    Raises InputError: a picture can't be read, or the page can't be written.
    """
    parts = []
    if classification:
        parts.append(classification_section(classification))
    if verification:
        parts.append(verification_section(verification))
    if epochs:
        parts.append(page.section("Epochs", _epochs(epochs)))
    if pictures:
        parts.append(page.section("Pictures", *page.shown(pictures)))
    if recipe:
        parts.append(page.section("Recipe", page.code(recipe)))
    if environment:
        parts.append(page.environment_section(environment))
    page.write_page(path, title, parts)


def _epochs(epochs: Sequence[Mapping[str, object]]) -> str:
    # In the order in which they first appear: later stages may measure more.
    keys = list(dict.fromkeys(key for record in epochs for key in record))
    rows = [[_cell(record.get(key)) for key in keys] for record in epochs]
    return page.table([key.replace("_", " ") for key in keys], rows)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
