"""report.html: one self-contained page about a run, to be read on any screen without a network."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfface.errors import InputError
from tfface.files import replacing
from tfface.report.verification_table import (
    FOOTNOTE,
    HEADER,
    needs_footnote,
    table_rows,
    threshold_sentence,
)

_MIME = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml"}

_STYLE = """
:root { color-scheme: light dark; --text: #1c1c1e; --soft: #63636a; --line: #dcdce0;
  --ground: #ffffff; --panel: #f5f5f7; --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --text: #ececee; --soft: #a2a2aa; --line: #3a3a40;
  --ground: #17171a; --panel: #222226; --accent: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; color: var(--text);
  background: var(--ground); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .7rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line); }
.figures { display: grid; gap: .75rem; margin: 0; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); }
.figures div { background: var(--panel); border-radius: .5rem; padding: .6rem .8rem; }
.figures dt { color: var(--soft); font-size: .85rem; }
.figures dd { margin: 0; font-size: 1.15rem; font-weight: 600; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { color: var(--soft); font-weight: 600; font-size: .85rem; }
.environment td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.environment td:first-child { color: var(--soft); white-space: nowrap; vertical-align: top; }
.note { color: var(--soft); font-size: .85rem; }
ul { padding-left: 1.2rem; }
figure { margin: 1rem 0; }
img { max-width: 100%; height: auto; background: #ffffff; border-radius: .5rem; display: block; }
pre { background: var(--panel); border-radius: .5rem; padding: .8rem; overflow-x: auto;
  font-size: .85rem; line-height: 1.4; }
"""


def write_report(
    path: Path,
    *,
    title: str,
    summary: Sequence[tuple[str, str]] = (),
    verification: Mapping[str, Mapping] | None = None,
    pictures: Sequence[Path] = (),
    epochs: Sequence[Mapping[str, object]] = (),
    recipe: str = "",
    environment: Mapping[str, object] | None = None,
) -> None:
    """Writes the page; a part that isn't given is left out.

    Args:
        path: the HTML file.
        title: what was run.
        summary: (label, value) of the figures to be seen first.
        verification: pair set -> its figures (`VerificationResult.to_json()`).
        pictures: PNG, JPEG or SVG files, shown in this order; they are copied into the page.
        epochs: records of epochs, shown as a table.
        recipe: the recipe as it was run, YAML.
        environment: versions and hardware; a value may be any JSON value.

    Raises InputError: a picture can't be read, or the page can't be written.
    """
    parts = [f"<h1>{html.escape(title)}</h1>"]
    if summary:
        parts.append(_summary(summary))
    if verification:
        parts.append(_verification(verification))
    if pictures:
        parts.append("<h2>Pictures</h2>" + "".join(_picture(Path(p)) for p in pictures))
    if epochs:
        parts.append("<h2>Epochs</h2>" + _epochs(epochs))
    if recipe:
        parts.append(f"<h2>Recipe</h2><pre>{html.escape(recipe)}</pre>")
    if environment:
        parts.append("<h2>Environment</h2>" + _environment(environment))
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _summary(summary: Sequence[tuple[str, str]]) -> str:
    cells = (
        f"<div><dt>{html.escape(label)}</dt><dd>{html.escape(str(value))}</dd></div>"
        for label, value in summary
    )
    return f'<dl class="figures">{"".join(cells)}</dl>'


def _verification(sets: Mapping[str, Mapping]) -> str:
    rows = [[cell.replace("+-", "\u00b1") for cell in row] for row in table_rows(sets)]
    sentences = (f"<li>{html.escape(threshold_sentence(*item))}</li>" for item in sets.items())
    note = f'<p class="note">{html.escape(FOOTNOTE)}</p>' if needs_footnote(sets) else ""
    return f"<h2>Verification</h2>{_table(HEADER, rows)}{note}<ul>{''.join(sentences)}</ul>"


def _epochs(epochs: Sequence[Mapping[str, object]]) -> str:
    # In the order in which they first appear: later stages may measure more.
    keys = list(dict.fromkeys(key for record in epochs for key in record))
    rows = [[_cell(record.get(key)) for key in keys] for record in epochs]
    return _table([key.replace("_", " ") for key in keys], rows)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _picture(path: Path) -> str:
    try:
        data = base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    if path.suffix.lower() not in _MIME:
        raise InputError(f"{path}: a picture of a report is one of {', '.join(_MIME)}")
    mime, words = _MIME[path.suffix.lower()], html.escape(path.stem.replace("_", " "))
    return f'<figure><img alt="{words}" src="data:{mime};base64,{data}"></figure>'


def _environment(environment: Mapping[str, object]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(str(key))}</td><td>"
        f"{html.escape(value if isinstance(value, str) else json.dumps(value, default=str))}"
        "</td></tr>"
        for key, value in environment.items()
    )
    return f'<table class="environment"><tbody>{rows}</tbody></table>'
