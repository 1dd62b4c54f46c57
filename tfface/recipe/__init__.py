"""Recipes: one YAML file describes one training run, read strictly, all errors reported at once.

`load` reads it, applies `--set` overrides and checks everything, also the options of the components
it names; `dump` writes the resolved recipe, which `load` reads back to the same recipe.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic
import yaml

from tfface.errors import InputError
from tfface.recipe.errors import format_validation_errors
from tfface.recipe.library import find_recipe
from tfface.recipe.renamed import Renames
from tfface.recipe.schema import Recipe, SourceConfig
from tfface.recipe.validation import cross_field_errors
from tfface.recipe.yaml_file import apply_override, check_tree, read_yaml
from tfface.registry import Registry

_MAX_ERRORS = 50


def load(
    path: str | Path, registries: Mapping[str, Registry], overrides: Sequence[str] = ()
) -> Recipe:
    """Reads a recipe file.

    Args:
        path: the YAML file, or the name of a recipe that comes with tfface.
        registries: the components that may be named: `sources`, `augmentations`, `backbones`,
            `heads`, `optimizers`, `schedules`.
        overrides: `a.b.0.c=value` each, the value in YAML.

    Returns:
        The recipe with all defaults.

    Raises:
        InputError: one line for each mistake, with file, key, what was given, what is allowed and
            the nearest known key.
    """
    path = find_recipe(path)
    renames = Renames(str(path))
    given = renames.apply(read_yaml(path))
    for override in overrides:
        apply_override(given, override, renames)
    check_tree(given, str(path))
    renames.warn()
    try:
        recipe = Recipe.model_validate(given, context=registries)
    except pydantic.ValidationError as error:
        raise _input_error(path, [*format_validation_errors(error, Recipe)]) from error
    if errors := [*cross_field_errors(recipe)]:
        raise _input_error(path, errors)
    return recipe


def _input_error(path: str | Path, errors: Sequence[str]) -> InputError:
    lines = [f"{path}: {line}" for line in errors[:_MAX_ERRORS]]
    if len(errors) > _MAX_ERRORS:
        lines.append(f"{path}: and {len(errors) - _MAX_ERRORS:,} more mistakes")
    return InputError("\n".join(lines))


def load_source(given: Any, sources: Registry, where: str) -> SourceConfig:
    """Reads one source as a recipe may give it, `{source: NAME, option: value}`.

    Args:
        given: the YAML value.
        sources: the registry of sources.
        where: what errors begin with.

    Raises:
        InputError: one line for each mistake.
    """
    check_tree({"": given}, where[:200])
    renames = Renames(where)
    given = renames.apply(given, ("SOURCE",))
    renames.warn()
    try:
        return SourceConfig.model_validate(given, context={"sources": sources})
    except pydantic.ValidationError as error:
        lines = [
            line.removeprefix("the recipe: ")
            for line in format_validation_errors(error, SourceConfig)
        ]
        raise InputError("\n".join(f"{where}: {line}" for line in lines)) from error


def dump(recipe: Recipe) -> str:
    """Returns the resolved recipe as YAML, all defaults written out."""
    return yaml.safe_dump(
        recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100
    )
