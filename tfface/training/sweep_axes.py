"""What a sweep varies: keys of a recipe with their values, and the trials that these make."""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tfface.errors import InputError
from tfface.recipe.yaml_file import parse_value

# Of a folder's name, before the hash that longer ones end with.
_LONGEST_FOLDER = 60
# Last keys of a dotted key that say nothing: `optimizer.name` is shortened to `optimizer`.
_NAME_KEYS = ("name", "source")
_OPENING, _CLOSING = "[{(", "]})"


@dataclass(frozen=True)
class SweepAxis:
    """One dotted key of a recipe and its values.

    Attributes:
        key: as in `--set`.
        values: as YAML reads them.

    Example:
        >>> parse_axis("training.stages.0.optimizer.name=sgd,adam")
        SweepAxis(key='training.stages.0.optimizer.name', values=('sgd', 'adam'))
    """

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Trial:
    """One variant of a recipe.

    Attributes:
        name: unique, for tables.
        folder: unique, as a part of file names.
        values: dotted key -> value.
        overrides: the same, as `--set` takes it.
    """

    name: str
    folder: str
    values: dict[str, Any]
    overrides: list[str]


def parse_axis(argument: str) -> SweepAxis:
    """Reads PLACE=V1,V2,...: split at commas outside of brackets and quotes, or one YAML list.

    Raises InputError: the argument has another form, a value isn't YAML, or one is given twice.
    """
    key, equals, text = argument.partition("=")
    key = key.strip()
    if not equals or not key or not text.strip():
        raise InputError(
            f"--sweep {argument}: must be PLACE=VALUE,VALUE,..., as in "
            "training.stages.0.optimizer.name=sgd,adam"
        )
    try:
        values = [parse_value(piece) for piece in _pieces(text)]
    except InputError as error:
        raise InputError(f"--sweep {argument}: a value is {error}") from error
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    if not values:
        raise InputError(f"--sweep {argument}: the list of values is empty")
    twice = [value for number, value in enumerate(values) if value in values[:number]]
    if twice:
        raise InputError(f"--sweep {argument}: {format_value(twice[0])} is given twice")
    return SweepAxis(key, tuple(values))


def make_trials(axes: Sequence[SweepAxis], recipe_name: str) -> list[Trial]:
    """Returns a trial for every combination of values; those of the last axis change first.

    Args:
        axes: none for the recipe as it is.
        recipe_name: the name of the single trial without axes.

    Raises:
        InputError: a key is given twice, or is the seed, or two trials have the same name.
    """
    keys = [one.key for one in axes]
    for key in keys:
        if keys.count(key) > 1:
            raise InputError(f"--sweep {key}: given twice; give all its values at once")
        if key == "training.seed":
            raise InputError("--sweep training.seed: give --seeds N, which compares over seeds")
    if not axes:
        return [Trial(recipe_name, _folder_name(recipe_name), {}, [])]
    short = dict(zip(keys, short_keys(keys), strict=True))
    trials = [
        _make_trial(dict(zip(keys, values, strict=True)), short)
        for values in itertools.product(*(one.values for one in axes))
    ]
    names = [trial.name for trial in trials]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"--sweep: two variants would be called '{twice[0]}'")
    return trials


def short_keys(dotted: Sequence[str]) -> list[str]:
    """Returns the shortest ends of dotted keys that are still distinct.

    Example:
        >>> short_keys(["training.stages.0.optimizer.name", "training.stages.1.epochs"])
        ['optimizer', 'epochs']
        >>> short_keys(["training.stages.0.epochs", "training.stages.1.epochs"])
        ['stages.0.epochs', 'stages.1.epochs']
    """
    keys = [key.split(".") for key in dotted]
    keys = [one[:-1] if one[-1] in _NAME_KEYS and len(one) > 1 else one for one in keys]
    found = []
    for one in keys:
        for length in range(1, len(one) + 1):
            end = one[-length:]
            # A number alone says nothing.
            if end[0].isdigit():
                continue
            if sum(other[-length:] == end for other in keys) == 1:
                break
        found.append(".".join(end))
    return found


def format_value(value: Any) -> str:
    """Returns a short form of a value, such as `sgd learning_rate=0.1` for an optimizer."""
    if isinstance(value, str):
        return value or "''"
    if isinstance(value, dict):
        given = dict(value)
        key = next((key for key in _NAME_KEYS if key in given), None)
        if key is not None:
            head = [format_value(given.pop(key))]
        elif len(given) == 1 and isinstance(next(iter(given.values())), dict):
            [(name, given)] = given.items()
            head = [str(name)]
        else:
            head = []
        return " ".join(head + [f"{key}={format_value(one)}" for key, one in given.items()]) or "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(format_value, value))}]"
    return json.dumps(value, default=str)


def _make_trial(values: dict[str, Any], short: dict[str, str]) -> Trial:
    names = {key: format_value(value) for key, value in values.items()}
    if len(names) == 1:
        [name] = names.values()
    else:
        name = ", ".join(f"{short[key]}={text}" for key, text in names.items())
    return Trial(
        name=name,
        folder=_folder_name("--".join(f"{short[key]}-{text}" for key, text in names.items())),
        values=values,
        overrides=[f"{key}={json.dumps(value, default=str)}" for key, value in values.items()],
    )


def _folder_name(text: str) -> str:
    """Returns text as a part of a file's name, with a hash where characters are lost."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", text)
    if plain == text and len(text) <= _LONGEST_FOLDER:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{plain[:_LONGEST_FOLDER]}-{digest}"


def _pieces(text: str) -> Iterator[str]:
    """Splits text at commas outside of brackets and quotes."""
    depth, quote, start = 0, "", 0
    for key, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in _OPENING:
            depth += 1
        elif sign in _CLOSING:
            depth -= 1
        elif sign == "," and depth == 0:
            yield text[start:key]
            start = key + 1
    yield text[start:]
