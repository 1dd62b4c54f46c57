"""What `mkdocs build` does beside reading docs/: the hooks of mkdocs.yml.

Some pages are files elsewhere in the repository, where readers of the repository look for them.
Links that work in the repository are made to work on the site, too.
"""

import os
import posixpath
import re
from pathlib import Path

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
# File of the repository -> page.
ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmark-scripts.md",
    "tests/README.md": "tests.md",
}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the pages that lie elsewhere."""
    for path, page in ELSEWHERE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns each link into one that works on the site."""
    path = Path(page.file.abs_src_path).relative_to(ROOT).as_posix()
    folder = posixpath.dirname(path)

    def on_site(link: re.Match) -> str:
        file, _, anchor = link["target"].partition("#")
        if not file or re.match("[a-z]+:", file):
            return link[0]
        target = posixpath.normpath(posixpath.join(folder, file))
        on_site = ELSEWHERE.get(target) or target.removeprefix("docs/")
        if files.get_file_from_path(on_site) is None:
            # The site has no such page: what is said stays, without a link.
            return link["text"]
        relative = os.path.relpath(on_site, posixpath.dirname(page.file.src_uri) or ".")
        return f"{link['before']}({Path(relative).as_posix()}{'#' if anchor else ''}{anchor})"

    return re.sub(r"(?P<before>!?\[(?P<text>[^\]]*)\])\((?P<target>[^)\s]+)\)", on_site, markdown)


class KerasDocstrings(griffe.Extension):
    """Turns the sections of Keras' docstrings into those of Griffe's Google style."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        if obj.docstring:
            text = obj.docstring.value
            for pattern, replacement in _DOCSTRINGS:
                text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
            obj.docstring.value = text


_DOCSTRINGS = (
    (r"^Example:$", "Examples:"),
    (r"^Call arguments:$", "\nOther Args: Call arguments:"),
    # Sections of a single line.
    (r"^(Returns|Raises \w+|Weights|References?): (?=\S)", r"\n**\1:** "),
    # Formulas below a sentence are code.
    (r"^(?![A-Z]\w*( \w+)?:)(\S.*:)\n(?=    \S)", r"\2\n\n"),
)
