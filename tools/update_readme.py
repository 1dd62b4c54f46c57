"""Make the tables of README.md and docs/ anew from results/*.csv.

Example:
    python tools/update_readme.py
"""

from pathlib import Path

import checkout
from tfface.cli import command


def main(arguments: list[str] | None = None) -> None:
    parser = command.Parser(description=__doc__)
    parser.parse_args(arguments)
    from tfface.files import replacing
    from tfface.reporting.results import fill_tables

    root = Path(__file__).resolve().parent.parent
    for page in (root / "README.md", *sorted((root / "docs").rglob("*.md"))):
        before = page.read_text(encoding="utf-8")
        text = fill_tables(before, root)
        if text == before:
            continue
        with replacing(page) as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(page)


if __name__ == "__main__":
    checkout.run(main)
