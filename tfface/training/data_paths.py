"""Where the data of a recipe lie, and how to get them where they are missing."""

from pathlib import Path

from tfface.data.sources.opening import paths_in
from tfface.errors import InputError
from tfface.paths import expanded
from tfface.recipe import Recipe
from tfface.recipe.schema import SourceConfig


def hint_on_missing_data(recipe: Recipe, data_dir: Path) -> str:
    """Returns the recipe's note on how to get its data, for an error about data.

    It is empty if the data are there, or if other data than those of the note are missing.
    """
    about, missing = recipe.about.notes, _missing(recipe, data_dir)
    if not any(path in about or "data/" not in about for path in missing):
        return ""
    lines = []
    if recipe.about.notes:
        lines.append("The data of this recipe: " + " ".join(recipe.about.notes.split()))
    if recipe.about.demo_overrides:
        lines.append(f"The same recipe on synthetic faces: add {recipe.about.demo_overrides}")
    return "".join(f"\n  {line}" for line in lines)


def source_folders(recipe: Recipe, data_dir: Path) -> list[Path]:
    """Returns the files and folders that the recipe's images are read from."""
    validation, classification = recipe.data.validation, recipe.evaluation.classification
    configs = [recipe.data.train, validation and validation.source, classification]
    return [data_dir / path for config in configs if config for path in _paths_of(config)]


def _missing(recipe: Recipe, data_dir: Path) -> list[str]:
    """Returns the paths of the recipe's data that don't exist."""
    validation, evaluation = recipe.data.validation, recipe.evaluation
    configs = [recipe.data.train, validation and validation.source, evaluation.classification]
    paths = [str(path) for config in configs if config for path in _paths_of(config)]
    paths += [given.rpartition("=")[2] for given in evaluation.verification]
    return [
        path for path in paths if path != "synthetic" and not (data_dir / expanded(path)).exists()
    ]


def _paths_of(config: SourceConfig) -> list[Path]:
    try:
        return paths_in(config.options)
    # A nested source is invalid. Opening it raises the error that the user should see.
    except InputError:
        return []
