"""List the recipes that come with tfface, or print one.

Example:
    tfface recipes
    tfface recipes mobilenetv2_kface > my_faces.yaml
    tfface train my_faces.yaml

A recipe's name works wherever a recipe's file does: tfface train quickstart.
"""

import textwrap

from tfface.cli import command
from tfface.errors import say


def main(arguments: list[str] | None = None) -> None:
    parser = command.Parser(description=__doc__)
    parser.add_argument("name", nargs="?", metavar="NAME", help="print this recipe")
    options = parser.parse_args(arguments)
    from tfface.recipe.library import find_recipe, library_folder, recipe_names, summary

    if options.name is not None:
        say(find_recipe(options.name).read_text(encoding="utf-8").rstrip("\n"))
        return
    # The one to begin with comes first.
    for name in sorted(recipe_names(), key=lambda name: name != "quickstart"):
        say(name)
        text = summary(library_folder() / f"{name}.yaml")
        say(textwrap.fill(text, 96, initial_indent="    ", subsequent_indent="    "))
