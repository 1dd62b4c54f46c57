"""Make the tables of README.md anew from results/*.csv.

Example:
    python tools/update_readme.py
"""

import argparse
from pathlib import Path

import command


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(arguments)
    from tfface.files import replacing
    from tfface.report.results import fill_tables

    root = Path(__file__).resolve().parent.parent
    readme = root / "README.md"
    text = fill_tables(readme.read_text(encoding="utf-8"), root)
    with replacing(readme) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(readme)


if __name__ == "__main__":
    command.run(main)
