"""HTML reports: self-contained pages, rendered by Jinja2 from the folder `templates`.

A page needs no other file and no network. Names, captions and recipes may come from untrusted
files: every value is escaped (autoescape), and the content security policy forbids scripts.
"""

import base64
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2
import numpy as np
from PIL import Image

from tfface.errors import InputError
from tfface.files import os_errors, replacing
from tfface.reporting import (
    classification_tables,
    comparison_tables,
    identification_tables,
    verification_tables,
)
from tfface.reporting.format import MISSING, Table

# A report has more rows than a terminal; the JSON file has all.
_MAX_CLASSES, _MAX_CONFUSIONS = 100, 20

# How the style of every report begins.
_STYLE = rb":root \{ color-scheme: light dark; --text: #1c1c1e; --soft: #"

_MIME = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml"}


def report_mark(kind: str) -> re.Pattern[bytes]:
    """Returns the mark by which `output_paths.check_replaceable` knows the reports of a kind.

    Args:
        kind: verification, identification, classification, comparison or run.
    """
    return re.compile(
        rb'<meta name="generator" content="tfface %b report">.*%b' % (kind.encode(), _STYLE),
        re.DOTALL,
    )


class Plot(NamedTuple):
    """An image of a report.

    Attributes:
        path: PNG, JPEG or SVG.
        caption: of the image.
        thumbnails: images and captions of a contact sheet; the report arranges them to fit the
            screen, instead of the file. uint8 [height, width, 3] each.
        section: the pair set that the image belongs to; None for all.
    """

    path: Path
    caption: str
    thumbnails: tuple[Sequence[np.ndarray], Sequence[str]] | None = None
    section: str | None = None


def write_report(
    path: Path,
    kind: str,
    *,
    title: str,
    plots: Sequence[Plot] = (),
    environment: Mapping[str, object] | None = None,
    **content: object,
) -> None:
    """Writes a report by the template of its kind.

    Args:
        path: the HTML file.
        kind: with what its content has to be. The metrics are those that the command's `--json`
            writes; `warnings` and `remarks` are sentences, `recipe` is YAML.

            - `verification`: `sets` (name -> metrics) and `warnings`
            - `identification`: `metrics` and `warnings`
            - `classification`: `metrics` and `remarks`
            - `comparison`: `metrics` and `recipe` (of the first variant)
            - `run`: `sets`, `classification` (metrics), `epochs` (records) and `recipe`; those
              that are empty are omitted
        title: of the page.
        plots: are embedded in this order; those with a section are shown with their set.
        environment: versions and hardware; any JSON values.

    Raises:
        InputError: an image can't be read, or the report can't be written.
        jinja2.UndefinedError: content is missing.
    """
    page = _TEMPLATES.get_template(f"{kind}.html").render(
        content, kind=kind, title=title, plots=plots, environment=environment
    )
    with replacing(path) as temporary:
        # File names may contain bytes that are not UTF-8.
        temporary.write_text(page, encoding="utf-8", errors="replace")


def notebook_html(tables: Sequence[Table], sentences: Sequence[str] = ()) -> str:
    """Returns tables and sentences as HTML without a page, for the `_repr_html_` of results."""
    template = _TEMPLATES.get_template("notebook.html")
    return template.render(tables=tables, sentences=sentences)


# Shorter words for columns of epochs.
_EPOCH_WORDS = {"val_verification": "pairs", "epoch_seconds": "seconds"}
# What other columns say, too.
_NO_EPOCH_COLUMNS = ("step", "accuracy_gap", "images_per_second")


def _epoch_table(epochs: Sequence[Mapping[str, object]]) -> Table:
    """Returns the records of epochs as a table that a page has room for.

    A metric of training and that of validation share a column. What is the same in all epochs is a
    note.
    """
    # In order of first appearance: later stages may have more metrics.
    keys = list(dict.fromkeys(key for record in epochs for key in record))
    columns = {
        key: [_epoch_cell(record.get(key)) for record in epochs]
        for key in keys
        if key not in _NO_EPOCH_COLUMNS
    }
    notes = []
    for key in ("stage", "learning_rate"):
        if len(epochs) > 1 and len(set(columns.get(key, ()))) == 1:
            notes.append(f"{_epoch_header(key)} in all epochs: {columns.pop(key)[0]}")
    both = [key for key in columns if f"val_{key}" in columns]
    for key in both:
        pairs = zip(columns[key], columns.pop(f"val_{key}"), strict=True)
        columns[key] = ["\n".join(pair) for pair in pairs]
    if both:
        notes.append("Of two values, the upper is of training and the lower of validation.")
    return Table(
        [_epoch_header(key) for key in columns],
        [list(row) for row in zip(*columns.values(), strict=True)],
        notes,
    )


def _epoch_header(key: str) -> str:
    for long, short in _EPOCH_WORDS.items():
        key = key.replace(long, short)
    return key.replace("_", " ")


def _epoch_cell(value: object) -> str:
    if value is None:
        return MISSING
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _data_uri(image: Path | np.ndarray) -> str:
    """Returns an image file, or pixels as a JPEG, as the value of a `src` attribute."""
    if isinstance(image, np.ndarray):
        encoded = io.BytesIO()
        Image.fromarray(image).save(encoded, format="JPEG", quality=92)
        data, mime = encoded.getvalue(), "image/jpeg"
    else:
        path = Path(image)
        with os_errors(path):
            data = path.read_bytes()
        if path.suffix.lower() not in _MIME:
            raise InputError(f"{path}: an image of a report must be one of {', '.join(_MIME)}")
        mime = _MIME[path.suffix.lower()]
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("tfface.reporting"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals |= {
    "classification_tables": classification_tables,
    "comparison": comparison_tables,
    "identification_tables": identification_tables,
    "verification_tables": verification_tables,
    "max_classes": _MAX_CLASSES,
    "max_confusions": _MAX_CONFUSIONS,
}
_TEMPLATES.filters |= {"data_uri": _data_uri, "as_text": _as_text, "epoch_table": _epoch_table}
