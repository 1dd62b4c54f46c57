"""Recipes: one YAML file describes one training run, read strictly, all mistakes reported at once.

`load` reads it, applies `--set` overrides and checks everything, also the options of the parts it
names; `dump` writes the resolved recipe, which `load` reads back to the same recipe.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pydantic
import yaml

from tfface.errors import InputError
from tfface.recipe.errors import mistakes
from tfface.recipe.schema import Recipe, SourcePart
from tfface.recipe.yaml_file import apply_override, check_tree, parse_value, read_yaml
from tfface.registry import Table

_MOST_MISTAKES = 50


def load(path: str | Path, tables: Mapping[str, Table], overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe file.

    Args:
        tables: the parts that may be named: `sources`, `augmentations`, `backbones`, `heads`,
            `optimizers`, `schedules`.
        overrides: `a.b.0.c=value` each, the value in YAML.
    Raises InputError: one line for each mistake, with file, place, what was given, what is allowed
        and the nearest known key.
    """
    given = read_yaml(Path(path))
    for override in overrides:
        apply_override(given, override)
    check_tree(given, str(path))
    text = json.dumps(given, default=str)
    try:
        return Recipe.model_validate_json(text, context=tables)
    except pydantic.ValidationError as error:
        lines = [f"{path}: {line}" for line in mistakes(error, Recipe)]
        if len(lines) > _MOST_MISTAKES:
            lines[_MOST_MISTAKES:] = [f"{path}: and {len(lines) - _MOST_MISTAKES:,} more mistakes"]
        raise InputError("\n".join(lines)) from error


def load_source(text: str, sources: Table, place: str | None = None) -> SourcePart:
    """Reads one source as a recipe may say it, `{source: NAME, option: value}`, from `text`.

    Args:
        place: where the text stands, which errors begin with; by default they begin with the text.
    Raises InputError: one line for each mistake.
    """
    given = parse_value(text)
    place = place or text
    check_tree({"": given}, place[:200])
    try:
        return SourcePart.model_validate_json(
            json.dumps(given, default=str), context={"sources": sources}
        )
    except pydantic.ValidationError as error:
        lines = [line.removeprefix("the recipe: ") for line in mistakes(error, SourcePart)]
        raise InputError("\n".join(f"{place}: {line}" for line in lines)) from error


def dump(recipe: Recipe) -> str:
    """Returns the resolved recipe as YAML, all defaults written out."""
    return yaml.safe_dump(
        recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100
    )
