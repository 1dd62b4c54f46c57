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
    """SafeLoader that reads numbers as what they look like.

    YAML 1.1 wants 5.0e-4 for 5e-4, takes 010 for eight and 1:30 for ninety; the last two stay text
    here.
    """


_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in (_INT, _FLOAT)]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_INT, re.compile(r"^[-+]?(0|[1-9][0-9_]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(
        r"""^[-+]?(
            (\d[\d_]*\.[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?
            |\d+[eE][-+]?\d+
            |\.(inf|Inf|INF)
        )$|^\.(nan|NaN|NAN)$""",
        re.VERBOSE,
    ),
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
            if not isinstance(key, yaml.ScalarNode):
                continue  # `yaml.load` says that it can't be a key
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
            if not key.isdecimal() or int(key) >= len(target):
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
            inner = target[key] if isinstance(target, list) else target.get(key)
            if isinstance(inner, str):
                # A short form (`optimizer: adam`) opens up, so that its options can be set.
                target[key] = {SHORT_NAME: inner}
            elif isinstance(target, dict) and not isinstance(inner, dict | list):
                target[key] = {}
            target = target[key]
