"""The recipes that come with tfface, found by name."""

import os
from pathlib import Path

from tfface.errors import InputError, did_you_mean

_PACKAGE = Path(__file__).resolve().parents[1]


def library_folder() -> Path:
    """The folder of the recipes: inside the installed package, or in the checkout."""
    installed = _PACKAGE / "recipes"
    return installed if installed.is_dir() else _PACKAGE.parent / "recipes"


def recipe_names() -> list[str]:
    """The names of all recipes, sorted."""
    return sorted(path.stem for path in library_folder().glob("*.yaml"))


def find_recipe(recipe: str | os.PathLike[str]) -> Path:
    """Finds a recipe's file.

    Args:
        recipe: a file, or the name of a recipe that comes with tfface. A file of that name in the
            working directory is preferred.

    Returns:
        The file; `recipe` itself where it looks like a path.

    Raises:
        InputError: a word that is neither a file nor the name of a recipe.
    """
    path = Path(recipe)
    if path.exists() or len(path.parts) != 1 or path.suffix:
        return path
    names = recipe_names()
    if path.name in names:
        return library_folder() / f"{path.name}.yaml"
    near = did_you_mean(path.name, names) or "; 'tfface recipes' lists them"
    raise InputError(f"{path}: no such file, and no recipe of this name{near}")


def summary(path: Path) -> str:
    """Returns the first sentence of a recipe's header: what the recipe is."""
    header: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.removeprefix("#").strip()
        if not line.startswith("#") or not text:
            break
        header.append(text)
    return " ".join(header).partition(". ")[0].rstrip(".")
