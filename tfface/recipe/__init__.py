"""Recipes: one YAML file describes one training run, read strictly, all errors reported at once.

`load` reads a file, applies `--set` overrides and checks everything, also the options of the
components it names; `parse` does so with a mapping. `dump` writes the resolved recipe, which `load`
reads back to the same recipe.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from tfface.errors import InputError
from tfface.recipe.errors import format_validation_errors
from tfface.recipe.library import find_recipe
from tfface.recipe.renamed import Renames
from tfface.recipe.schema import Config, Recipe, SourceConfig
from tfface.recipe.signatures import light
from tfface.recipe.validation import cross_field_errors
from tfface.recipe.yaml_file import apply_override, check_tree, read_yaml
from tfface.registry import Registry

__all__ = ["Recipe", "dump", "find_recipe", "load", "load_source", "parse", "parse_section"]

_MAX_ERRORS = 50
_Section = TypeVar("_Section", bound=Config)


def load(
    path: str | Path,
    registries: Mapping[str, Registry] | None = None,
    overrides: Sequence[str] = (),
    *,
    warns: bool = True,
) -> Recipe:
    """Reads a recipe file.

    Args:
        path: the YAML file, or the name of a recipe that comes with tfface.
        registries: the components that may be named: `sources`, `augmentations`, `backbones`,
            `heads`, `optimizers`, `schedules`; by default those of tfface.
        overrides: `a.b.0.c=value` each, the value in YAML.
        warns: of old names.

    Returns:
        The recipe with all defaults.

    Raises:
        InputError: one line for each mistake, with file, key, what was given, what is allowed and
            the nearest known key.
    """
    path = find_recipe(path)
    return parse(read_yaml(path), registries or light(), overrides, where=str(path), warns=warns)


def parse(
    given: Mapping[str, Any],
    registries: Mapping[str, Registry],
    overrides: Sequence[str] = (),
    *,
    where: str = "recipe",
    warns: bool = True,
) -> Recipe:
    """Validates a recipe that is a mapping in memory.

    Args:
        given: as YAML has it; tuples and paths are accepted for lists and texts. It stays as it is.
        registries, overrides, warns: as for `load`.
        where: what errors begin with.

    Returns:
        The recipe with all defaults.

    Raises:
        InputError: one line for each mistake.
    """
    renames = Renames(where)
    tree = renames.apply(_as_yaml(given))
    for override in overrides:
        apply_override(tree, override, renames)
    check_tree(tree, where)
    if warns:
        renames.warn()
    try:
        recipe = Recipe.model_validate(tree, context=registries)
    except pydantic.ValidationError as error:
        raise _input_error(where, [*format_validation_errors(error, Recipe)]) from error
    if errors := [*cross_field_errors(recipe)]:
        raise _input_error(where, errors)
    return recipe


def _as_yaml(value: Any) -> Any:
    """Converts a Python value to YAML's types: tuples to lists, paths to texts."""
    if isinstance(value, Mapping):
        return {key: _as_yaml(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_as_yaml(inner) for inner in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _input_error(where: str, errors: Sequence[str]) -> InputError:
    lines = [f"{where}: {line}" for line in errors[:_MAX_ERRORS]]
    if len(errors) > _MAX_ERRORS:
        lines.append(f"{where}: and {len(errors) - _MAX_ERRORS:,} more mistakes")
    return InputError("\n".join(lines))


def load_source(given: Any, sources: Registry, where: str) -> SourceConfig:
    """Validates a source in the form of a recipe, `{source: NAME, option: value}`.

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
    return parse_section(SourceConfig, given, {"sources": sources}, where)


def parse_section(
    schema: type[_Section], given: Any, registries: Mapping[str, Registry], where: str
) -> _Section:
    """Validates one section or component in the form of a recipe.

    Args:
        schema: of `tfface.recipe.schema`.
        given: as YAML has it; tuples and paths are accepted for lists and texts.
        registries: as for `load`; those that the section names.
        where: what errors begin with.

    Raises:
        InputError: one line for each mistake.
    """
    try:
        return schema.model_validate(_as_yaml(given), context=registries)
    except pydantic.ValidationError as error:
        lines = [
            line.removeprefix("the recipe: ") for line in format_validation_errors(error, schema)
        ]
        raise InputError("\n".join(f"{where}: {line}" for line in lines)) from error


def dump(recipe: Recipe) -> str:
    """Returns the resolved recipe as YAML, all defaults written out."""
    return yaml.safe_dump(
        recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100
    )
