"""Reading recipe files: YAML without its traps, and `--set` overrides."""

import re
from pathlib import Path
from typing import Any

import yaml

from tfface.errors import InputError
from tfface.recipe.mistakes import dotted

MAX_RECIPE_BYTES = 1 << 20

# The key that holds the name of a part given in its short form, when an override opens it up.
SHORT_NAME = ""


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads 5e-4 as the number it looks like (YAML 1.1 wants 5.0e-4)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def read_yaml(path: Path) -> dict:
    try:
        if path.stat().st_size > MAX_RECIPE_BYTES:
            raise InputError(f"{path}: larger than {MAX_RECIPE_BYTES:,} bytes; not a recipe")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such recipe file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: can't be read as a UTF-8 text file: {error}") from error
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, _Loader)):
            raise InputError(f"{path}: YAML aliases (*name) are not allowed; write the value out")
        twice = list(_duplicate_keys(yaml.compose(text, _Loader), ()))
        if twice:
            raise InputError("\n".join(f"{path}: {line}" for line in twice))
        given = yaml.load(text, _Loader)  # a SafeLoader
    except InputError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{path}: {where}not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise InputError(f"{path}: a recipe is a mapping with the keys data, model, training")
    return given


def _duplicate_keys(node: yaml.Node | None, place: tuple):
    if isinstance(node, yaml.MappingNode):
        lines = {}
        for key, value in node.value:
            here = (*place, key.value)
            line = key.start_mark.line + 1
            if key.value in lines:
                yield (
                    f"{dotted(here)}: given twice, on lines {lines[key.value]} and {line}; keep one"
                )
            lines[key.value] = line
            yield from _duplicate_keys(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield from _duplicate_keys(value, (*place, position))


def parse_value(text: str) -> Any:
    """Reads a value of a command line.

    Raises InputError: it is no YAML.
    """
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"not valid YAML: {' '.join(str(error).split())}") from error


def apply_override(given: dict, override: str) -> None:
    """Sets one `a.b.0.c=value` in the tree; missing mappings on the way are made."""
    place, equals, text = override.partition("=")
    keys = place.strip().split(".")
    if not equals or not all(keys):
        raise InputError(f"--set {override}: must be PLACE=VALUE, as in training.stages.0.epochs=2")
    try:
        value = parse_value(text)
    except InputError as error:
        raise InputError(f"--set {override}: the value is {error}") from error
    target: Any = given
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(target, list):
            if not key.isdigit() or int(key) >= len(target):
                raise InputError(
                    f"--set {override}: '{key}' is not a position in {dotted(keys[:depth])}, "
                    f"which has {len(target)} entries (0 to {len(target) - 1})"
                )
            key = int(key)
        elif not isinstance(target, dict):
            raise InputError(f"--set {override}: {dotted(keys[:depth])} is a value, not a mapping")
        if last:
            target[key] = value
        else:
            if isinstance(target, dict) and not isinstance(target.get(key), dict | list):
                # A short form (`optimizer: adam`) opens up, so that its options can be set.
                short = target.get(key)
                target[key] = {SHORT_NAME: short} if isinstance(short, str) else {}
            target = target[key]
