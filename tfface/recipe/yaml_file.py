"""Reading recipe files: YAML without its traps, and `--set` overrides."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tfface.errors import InputError, shown
from tfface.files import check_regular
from tfface.paths import did_you_mean_path
from tfface.recipe.errors import dotted_path
from tfface.recipe.renamed import Renames
from tfface.text_file import START_BYTES, check_text

# The longest here have 4 KB. Python's parser of YAML takes a minute for a megabyte of short values.
MAX_RECIPE_BYTES = 1 << 17
# Mappings and lists in each other; those of a recipe are 6 deep. Each costs the parser more.
_MOST_DEEP = 32
# Longer than any path may be.
_MOST_CHARACTERS = 4096
# Nor may a file's or folder's name be longer.
_MOST_IN_NAME = 255

# The key that holds the name of a part given in its short form, when an override opens it up.
SHORT_NAME = ""


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads numbers as what they look like.

    YAML 1.1 wants 5.0e-4 for 5e-4, takes 010 for eight, 1:30 for ninety and 1_0 for ten; the last
    three stay text here, and so do dates.
    """


_INT, _FLOAT, _DATE = (f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp"))
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in (_INT, _FLOAT, _DATE)]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_INT, re.compile(r"^[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(
        r"""^[-+]?(
            (\d+\.\d*|\.\d+)([eE][-+]?\d+)?
            |\d+[eE][-+]?\d+
            |\.(inf|Inf|INF)
        )$|^\.(nan|NaN|NAN)$""",
        re.VERBOSE,
    ),
    list("-+.0123456789"),
)


def read_yaml(path: Path) -> dict:
    check_regular(path)
    try:
        if path.stat().st_size > MAX_RECIPE_BYTES:
            raise InputError(f"{path}: larger than {MAX_RECIPE_BYTES:,} bytes; not a recipe")
        data = path.read_bytes()
        check_text(path, data[:START_BYTES])
        text = data.decode("utf-8")
    except FileNotFoundError:
        near = did_you_mean_path(path)
        raise InputError(f"{path}: no such recipe file{near}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: can't be read as a UTF-8 text file: {error}") from error
    try:
        node = _compose(text)
        twice = list(_duplicate_keys(node, ()))
        if twice:
            raise InputError("\n".join(f"{path}: {line}" for line in twice))
        given = _construct(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{path}: {where}not valid YAML: {_one_line(error.problem)}") from error
    except (yaml.YAMLError, _Refused) as error:
        raise InputError(f"{path}: not valid YAML: {_one_line(error)}") from error
    if not isinstance(given, dict):
        raise InputError(f"{path}: a recipe is a mapping with the keys data, model, training")
    return given


class _Refused(Exception):
    """YAML that recipes have no use for; the message says what."""


def _compose(text: str) -> yaml.Node | None:
    """Raises _Refused, yaml.YAMLError."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(
                f"aliases (*{str(event.anchor)[:80]}) are not allowed; write the value out"
            )
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_DEEP:
            mark = event.start_mark
            where = f"line {mark.line + 1}: " if mark else ""
            raise _Refused(f"{where}nested more than {_MOST_DEEP} deep")
    return yaml.compose(text, _Loader)


def _construct(node: yaml.Node | None) -> Any:
    """Raises _Refused, yaml.YAMLError."""
    if node is None:
        return None
    loader = _Loader("")  # a SafeLoader
    try:
        return loader.construct_document(node)
    # PyYAML's own constructors of numbers, dates and the like name no errors.
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise _Refused(f"a value that can't be read: {error}") from error
    finally:
        loader.dispose()


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:300]


def check_tree(given: dict, what: str) -> None:
    """Checks what overrides may have put together as well.

    Args:
        what: the recipe, for the message.
    Raises InputError: it is nested deeper than a recipe, or a text or number in it can't be one of
        a recipe.
    """
    left: list[tuple[Any, tuple]] = [(given, ())]
    while left:
        value, place = left.pop()
        if len(place) > _MOST_DEEP:
            raise InputError(
                f"{what}: {dotted_path(place[:8])}...: nested more than {_MOST_DEEP} deep"
            )
        if isinstance(value, str):
            _check_text(value, f"{what}: {dotted_path(place)}")
            # The rest may be a path, and what is said to people is none.
            if place[:1] != ("about",) and max(map(len, value.split("/"))) > _MOST_IN_NAME:
                raise InputError(
                    f"{what}: {dotted_path(place)}: a name of more than {_MOST_IN_NAME} characters"
                )
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise InputError(f"{what}: {dotted_path(place)}: a number of more than 64 bits")
        elif isinstance(value, list):
            left += [(inner, (*place, position)) for position, inner in enumerate(value)]
        elif isinstance(value, dict):
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise InputError(
                        f"{what}: all keys must be text: {dotted_path((*place, key))[:80]}"
                    )
                _check_text(key, f"{what}: {dotted_path(place)}")
                left.append((inner, (*place, key)))


def _check_text(text: str, where: str) -> None:
    if len(text) > _MOST_CHARACTERS:
        raise InputError(
            f"{where}: a text of {len(text):,} characters; at most {_MOST_CHARACTERS:,} are allowed"
        )
    # They are printed, and a terminal would obey them.
    if any((c < " " and c not in "\n\t") or "\x7f" <= c < "\xa0" for c in text.replace("\0", "")):
        raise InputError(f"{where}: '{shown(text[:80])}' holds control characters, shown as ?")
    # No file's name may hold the first, and no file the others.
    if "\0" in text or (not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)):
        raise InputError(f"{where}: a text with a character that no file's name can hold")


def _duplicate_keys(node: yaml.Node | None, place: tuple) -> Iterator[str]:
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # `yaml.load` says that it can't be a key
            here = (*place, key.value)
            line = key.start_mark.line + 1
            if key.value in lines:
                first = lines[key.value]
                where = f", on lines {first} and {line}" if first != line else ""
                yield f"{dotted_path(here)}: given twice{where}; keep one"
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
        node = _compose(text)
        for line in _duplicate_keys(node, ()):
            raise _Refused(line)
        return _construct(node)
    except (yaml.YAMLError, _Refused) as error:
        raise InputError(f"not valid YAML: {_one_line(error)}") from error


def apply_override(given: dict, override: str, renames: Renames) -> None:
    """Sets one `a.b.0.c=value` in the tree; missing mappings on the way are made.

    Args:
        given: the tree, which is changed.
        override: the text of a `--set` option.
        renames: what gives old keys their new names.
    """
    place, equals, text = override.partition("=")
    keys = place.strip().split(".")
    # For messages.
    override = override[:200]
    if len(keys) > _MOST_DEEP:
        raise InputError(f"--set {override}: nested more than {_MOST_DEEP} deep")
    if not equals or not all(keys):
        raise InputError(f"--set {override}: must be PLACE=VALUE, as in training.stages.0.epochs=2")
    try:
        value = parse_value(text)
    except InputError as error:
        raise InputError(f"--set {override}: the value is {error}") from error
    keys, value = renames.apply_to_override(keys, value)
    target: Any = given
    for depth, name in enumerate(keys):
        key: Any = name
        last = depth == len(keys) - 1
        if isinstance(target, list):
            if not re.fullmatch("[0-9]{1,9}", key) or int(key) >= len(target):
                raise InputError(
                    f"--set {override}: '{key}' is not a position in {dotted_path(keys[:depth])}, "
                    f"which has {len(target)} entries (0 to {len(target) - 1})"
                )
            key = int(key)
        elif not isinstance(target, dict):
            raise InputError(
                f"--set {override}: {dotted_path(keys[:depth])} is a value, not a mapping"
            )
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
