"""Self-contained HTML pages, to be read on any screen without a network: their building blocks.

A page is a title and parts, each a piece of HTML that a function here makes. What may come from
outside (names, paths, recipes) is escaped there.
"""

import base64
import html
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tfface.errors import InputError
from tfface.files import replacing

_MIME = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml"}


class Picture(NamedTuple):
    """A picture of a report.

    Attributes:
        path: PNG, JPEG or SVG.
        caption: what it shows.
        cells: what a contact sheet is made of, its small pictures and their captions; a page has
            them in its own letters.
        section: the section of the page that it belongs to, where that has several.
    """

    path: Path
    caption: str
    cells: tuple[Sequence[np.ndarray], Sequence[str]] | None = None
    section: str | None = None


_STYLE = """
:root { color-scheme: light dark; --text: #1c1c1e; --soft: #63636a; --line: #dcdce0;
  --ground: #ffffff; --edge: #b8b8c0; --panel: #f5f5f7; --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --text: #ececee; --soft: #a2a2aa; --line: #3a3a40;
  --ground: #17171a; --edge: #5a5a62; --panel: #222226; --accent: #56b4e9; } }
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
.wide { overflow-x: auto; background: linear-gradient(to right, var(--ground) 30%, transparent) 0 0,
  linear-gradient(to left, var(--ground) 30%, transparent) 100% 0,
  linear-gradient(to right, var(--edge), transparent) 0 0,
  linear-gradient(to left, var(--edge), transparent) 100% 0;
  background-size: 2.5rem 100%, 2.5rem 100%, .8rem 100%, .8rem 100%; background-repeat: no-repeat;
  background-attachment: local, local, scroll, scroll; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { color: var(--soft); font-weight: 600; font-size: .85rem; }
.environment td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.environment td:first-child { color: var(--soft); white-space: nowrap; vertical-align: top; }
.note { color: var(--soft); font-size: .85rem; }
ul { padding-left: 1.2rem; }
.warning { background: var(--panel); border-left: .3rem solid #d55e00; border-radius: .25rem;
  padding: .1rem .8rem; margin: 1rem 0; overflow-wrap: anywhere; }
.warning ul { list-style: none; padding: 0; }
figure { margin: 1rem 0; }
figcaption { color: var(--soft); font-size: .85rem; margin-top: .3rem; }
img { max-width: 100%; height: auto; background: #ffffff; border-radius: .5rem; display: block; }
.gallery { display: grid; gap: 1rem; margin: 1rem 0; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(14.25rem, 100%), 1fr)); }
.gallery figure { margin: 0; }
.gallery img { width: 100%; max-width: 14.25rem; border-radius: .25rem; }
.gallery figcaption { overflow-wrap: anywhere; white-space: pre-line; }
@media (max-width: 40rem) { th, td { padding: .3rem .4rem; }
  .gallery { gap: .7rem;
    grid-template-columns: repeat(auto-fill, minmax(min(10rem, 100%), 1fr)); } }
pre { background: var(--panel); border-radius: .5rem; padding: .8rem; overflow-x: auto;
  font-size: .85rem; line-height: 1.4; }
"""


# By which `files.check_replaceable` knows a page to be one of ours.
MARK = re.compile(re.escape(_STYLE[:60].encode()))


def write_page(path: Path, title: str, parts: Iterable[str]) -> None:
    """Writes a page of its title and parts, in order.

    Raises InputError: the page can't be written.
    """
    body = "\n".join([f"<h1>{html.escape(title)}</h1>", *parts])
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"{body}\n</body>\n</html>\n"
    )
    with replacing(path) as temporary:
        # Names of files may hold bytes that are no text.
        temporary.write_text(page, encoding="utf-8", errors="replace")


def section(title: str, *parts: str) -> str:
    """Returns parts under a heading."""
    return "\n".join([f"<h2>{html.escape(title)}</h2>", *parts])


def summary(figures: Iterable[tuple[str, str]]) -> str:
    """Returns the (label, value) to be seen first, as tiles."""
    cells = (
        f"<div><dt>{html.escape(label)}</dt><dd>{html.escape(str(value))}</dd></div>"
        for label, value in figures
    )
    return f'<dl class="figures">{"".join(cells)}</dl>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table: the first column to the left, the others, numbers as a rule, to the right.

    Where it is wider than the screen, it can be moved sideways.
    """
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    content = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{content}</div>'


def items(sentences: Iterable[str]) -> str:
    """Returns sentences as a list."""
    return f"<ul>{''.join(f'<li>{html.escape(sentence)}</li>' for sentence in sentences)}</ul>"


def text(sentences: str) -> str:
    """Returns a paragraph."""
    return f"<p>{html.escape(sentences)}</p>"


def warnings(sentences: Sequence[str]) -> str:
    """Returns what a reader has to know before any figure; nothing where there is nothing."""
    return f'<div class="warning">{items(sentences)}</div>' if sentences else ""


def note(text: str) -> str:
    """Returns a remark in small letters."""
    return f'<p class="note">{html.escape(text)}</p>'


def code(text: str) -> str:
    """Returns text as it stands."""
    return f"<pre>{html.escape(text)}</pre>"


def shown(pictures: Iterable[Picture]) -> list[str]:
    """Returns the parts of a page that show these pictures."""
    parts = []
    for one in pictures:
        if one.cells:
            parts += [text(one.caption), gallery(*one.cells)]
        else:
            parts.append(picture(one.path, one.caption))
    return parts


def picture(path: Path, caption: str = "") -> str:
    """Returns a PNG, JPEG or SVG file, copied into the page.

    Args:
        caption: stands below it; what a screen reader says is this, or the file's name.
    Raises InputError: the file can't be read, or is of another kind.
    """
    path = Path(path)
    try:
        data = base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    if path.suffix.lower() not in _MIME:
        raise InputError(f"{path}: a picture of a report is one of {', '.join(_MIME)}")
    mime, words = _MIME[path.suffix.lower()], html.escape(caption or path.stem.replace("_", " "))
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img alt="{words}" src="data:{mime};base64,{data}">{below}</figure>'


def gallery(pictures: Sequence[np.ndarray], captions: Sequence[str]) -> str:
    """Returns small pictures in as many columns as the screen has room for.

    Args:
        pictures: each uint8 [its height, its width, 3], RGB.
        captions: as many; each may have several lines.
    """
    figures = (
        f'<figure><img alt="" src="data:image/jpeg;base64,{_as_jpeg(pixels)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for pixels, caption in zip(pictures, captions, strict=True)
    )
    return f'<div class="gallery">{"".join(figures)}</div>'


def _as_jpeg(pixels: np.ndarray) -> str:
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, format="JPEG", quality=92)
    return base64.b64encode(encoded.getvalue()).decode("ascii")


def environment_section(environment: Mapping[str, object]) -> str:
    """Returns versions and hardware; a value may be any JSON value."""
    rows = "".join(
        f"<tr><td>{html.escape(str(key))}</td><td>"
        f"{html.escape(value if isinstance(value, str) else json.dumps(value, default=str))}"
        "</td></tr>"
        for key, value in environment.items()
    )
    return section("Environment", f'<table class="environment"><tbody>{rows}</tbody></table>')
