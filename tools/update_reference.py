"""Write docs/reference/recipe.md, the reference of recipes, from the descriptions in the code.

Example:
    python tools/update_reference.py
"""

from pathlib import Path

import checkout
from tfface.cli import command
from tfface.errors import say

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "recipe.md"


def main(arguments: list[str] | None = None) -> None:
    parser = command.Parser(description=__doc__)
    parser.parse_args(arguments)
    command.import_tensorflow_quietly()
    from tfface.files import replacing
    from tfface.recipe.reference import page
    from tfface.training.registries import REGISTRIES

    PAGE.parent.mkdir(parents=True, exist_ok=True)
    with replacing(PAGE) as temporary:
        temporary.write_text(page(REGISTRIES), encoding="utf-8")
    say(PAGE)


if __name__ == "__main__":
    checkout.run(main)
