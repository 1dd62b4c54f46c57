"""Where the data of a recipe lie, and how to get them where they are missing."""

import re
from pathlib import Path

from tfface.data.sources.opening import paths_in
from tfface.errors import InputError
from tfface.paths import expanded
from tfface.recipe import Recipe
from tfface.recipe.schema import SourceConfig


def hint_on_missing_data(recipe: Recipe, data_dir: Path, error: InputError) -> str:
    """Returns what else is missing, and the recipe's note on how to get its data.

    It is empty if the data are there. There is no note if other data than its own are missing.

    Args:
        recipe: of the run.
        data_dir: where its relative paths start.
        error: about data; it may name one of the paths.
    """
    about, missing = recipe.about.notes, _missing(recipe, data_dir)
    lines = []
    others = [path for path in missing if not _is_named(path, str(error))]
    # Else the error is about what is there.
    if len(others) < len(missing):
        others += _missing_weights(recipe, data_dir)
        if others:
            paths = (str(data_dir / expanded(path)) for path in dict.fromkeys(others))
            lines.append(f"Also missing: {', '.join(paths)}")
    if any(path in about or "data/" not in about for path in missing):
        if about:
            lines.append("The data of this recipe: " + " ".join(about.split()))
        if recipe.about.demo_overrides:
            lines.append(f"The same recipe on synthetic faces: add {recipe.about.demo_overrides}")
    return "".join(f"\n  {line}" for line in lines)


def _is_named(path: str, text: str) -> bool:
    """Whether a text names a path itself, and not one that begins or ends like it."""
    return bool(re.search(rf"(?<![\w.-]){re.escape(path)}(?![\w/-]|\.\w)", text))


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


def _missing_weights(recipe: Recipe, data_dir: Path) -> list[str]:
    """Returns the path of the starting weights, if they don't exist."""
    weights = recipe.model.backbone.weights
    if recipe.model.init_from is not None or weights in ("none", "imagenet"):
        return []
    return [] if (data_dir / expanded(weights)).exists() else [weights]


def _paths_of(config: SourceConfig) -> list[Path]:
    try:
        return paths_in(config.options)
    # A nested source is invalid. Opening it raises the error that the user should see.
    except InputError:
        return []
