"""Opening a page in headless Chromium, at the width of a desktop or of a phone."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

DESKTOP, PHONE = 1280, 390

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Runs inside the page, and leaves what it found where `--dump-dom` shows it.
_PROBE = """<script>
addEventListener("load", () => {
  const tables = [...document.querySelectorAll("table")].map(table =>
    [...table.rows].map(row => [...row.cells].map(cell => cell.innerText.trim())));
  const pictures = [...document.images].map(image => image.complete ? image.naturalWidth : 0);
  const root = document.documentElement;
  const smallest = Math.min(...[...document.querySelectorAll("p, li, td, th, dt, dd, figcaption")]
    .map(element => parseFloat(getComputedStyle(element).fontSize)));
  const found = {tables, pictures, smallest, title: document.title,
    width: root.scrollWidth, visible: root.clientWidth,
    boxes: [...document.querySelectorAll(".wide")].map(box => [box.scrollWidth, box.clientWidth])};
  parent.document.getElementById("found").textContent = JSON.stringify(found);
});
</script>"""


@dataclass(frozen=True)
class Opened:
    """A page as Chromium shows it.

    Attributes:
        tables: the text of each table's cells, row by row.
        pictures: widths of the images in pixels; 0 for one that isn't shown.
        smallest: the smallest font size in pixels.
        title: of the document.
        width: of the content in pixels.
        visible: of the window in pixels; less than `width` if the page scrolls sideways.
        boxes: of each table in a box that scrolls, the width of the table and of the box.
        console: messages of the page's console.
    """

    tables: list[list[list[str]]]
    pictures: list[int]
    smallest: float
    title: str
    width: int
    visible: int
    boxes: list[tuple[int, int]]
    console: list[str]


def find_browser() -> str:
    """Returns the path of Chromium, else skips the test."""
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    pytest.skip("needs a browser: install Chromium (Debian's package is chromium)")


def open_page(page: Path, folder: Path, width: int) -> Opened:
    """Opens a page in a frame of this width, and writes a screenshot to `folder`.

    Args:
        page: the HTML file.
        folder: for files of the browser.
        width: in pixels: DESKTOP, PHONE or another.
    """
    browser = find_browser()
    folder.mkdir(parents=True, exist_ok=True)
    probed, frame = folder / "probed.html", folder / f"frame_{width}.html"
    text = page.read_text(encoding="utf-8")
    # The probe is a script, which the policy of a report forbids.
    text = text.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'", 1)
    probed.write_text(text.replace("</body>", f"{_PROBE}</body>"), encoding="utf-8")
    # A window has a minimum width, a frame has none.
    frame.write_text(
        f'<!doctype html><body style="margin:0"><pre id="found" hidden></pre><iframe '
        f'src="probed.html" style="border:0;width:{width}px;height:4000px"></iframe></body>'
    )
    result = subprocess.run(
        [
            browser,
            "--headless=new",
            # As root, as in CI, Chromium has no sandbox.
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--allow-file-access-from-files",
            "--enable-logging=stderr",
            "--virtual-time-budget=10000",
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={max(width, 500)},4000",
            f"--screenshot={folder / f'page_{width}.png'}",
            "--dump-dom",
            frame.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = re.search(r'<pre id="found"[^>]*>(.*?)</pre>', result.stdout, re.DOTALL)
    if not found or not found[1]:
        pytest.fail(f"the page did not load: {result.stderr[-2000:]}")
    console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    return Opened(**json.loads(html.unescape(found[1])), console=console)


def check_readable(page: Path, folder: Path) -> Opened:
    """Fails unless a page has no errors, and fits on a desktop and on a phone."""
    for width in (PHONE, DESKTOP):
        opened = open_page(page, folder, width)
        assert not opened.console, "\n".join(opened.console)
        assert opened.width <= opened.visible, f"wider than {width} pixels"
        assert all(opened.pictures), "an image isn't shown"
        assert opened.smallest >= 12, "the font is too small"
    return opened
