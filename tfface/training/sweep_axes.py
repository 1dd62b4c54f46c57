"""What a comparison varies: places of a recipe, and the variants that their values make."""

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
# Keys that say what a part is; the place of such a key is called as the part is.
_NAME_KEYS = ("name", "source")
_OPENING, _CLOSING = "[{(", "]})"


@dataclass(frozen=True)
class Varied:
    """One place of a recipe and what it is to be.

    Attributes:
        place: as in `--set`.
        values: as YAML reads them.
    """

    place: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Variant:
    """One of the recipes that are compared.

    Attributes:
        name: what tables call it; no two have one.
        folder: the same as a part of a file's name.
        values: place -> what is there.
        overrides: the same as `--set` takes it.
    """

    name: str
    folder: str
    values: dict[str, Any]
    overrides: list[str]


def read_varied(argument: str) -> Varied:
    """Reads PLACE=V1,V2,...: split at commas outside of brackets and quotes, or one YAML list.

    Raises InputError: it is no such text, a value is no YAML, or one is given twice.
    """
    place, equals, text = argument.partition("=")
    place = place.strip()
    if not equals or not place or not text.strip():
        raise InputError(
            f"--vary {argument}: must be PLACE=VALUE,VALUE,..., as in "
            "training.stages.0.optimizer.name=sgd,adam"
        )
    try:
        values = [parse_value(piece) for piece in _pieces(text)]
    except InputError as error:
        raise InputError(f"--vary {argument}: a value is {error}") from error
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    if not values:
        raise InputError(f"--vary {argument}: the list of values is empty")
    twice = [value for number, value in enumerate(values) if value in values[:number]]
    if twice:
        raise InputError(f"--vary {argument}: {value_name(twice[0])} is given twice")
    return Varied(place, tuple(values))


def make_variants(varied: Sequence[Varied], recipe_name: str) -> list[Variant]:
    """Returns a variant for every combination of values, the last place changing first.

    Args:
        recipe_name: what the single variant is called where nothing is varied.
    Raises InputError: a place is given twice, or is the seed, or two variants have one name.
    """
    places = [one.place for one in varied]
    for place in places:
        if places.count(place) > 1:
            raise InputError(f"--vary {place}: given twice; give all its values at once")
        if place == "training.seed":
            raise InputError("--vary training.seed: give --seeds N, which compares over seeds")
    if not varied:
        return [Variant(recipe_name, _folder_name(recipe_name), {}, [])]
    short = dict(zip(places, short_places(places), strict=True))
    variants = [
        _variant(dict(zip(places, values, strict=True)), short)
        for values in itertools.product(*(one.values for one in varied))
    ]
    names = [variant.name for variant in variants]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"--vary: two variants would be called '{twice[0]}'")
    return variants


def short_places(places: Sequence[str]) -> list[str]:
    """Returns the ends of places that tell them apart; what names a part is called as the part.

    training.stages.0.optimizer.name is "optimizer", training.stages.1.epochs is "epochs", or
    "stages.1.epochs" beside that of another stage.
    """
    keys = [place.split(".") for place in places]
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


def value_name(value: Any) -> str:
    """Returns a value as a person would say it: `sgd learning_rate=0.1` for that optimizer."""
    if isinstance(value, str):
        return value or "''"
    if isinstance(value, dict):
        given = dict(value)
        key = next((key for key in _NAME_KEYS if key in given), None)
        if key is not None:
            head = [value_name(given.pop(key))]
        elif len(given) == 1 and isinstance(next(iter(given.values())), dict):
            [(name, given)] = given.items()
            head = [str(name)]
        else:
            head = []
        return " ".join(head + [f"{key}={value_name(one)}" for key, one in given.items()]) or "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(value_name, value))}]"
    return json.dumps(value, default=str)


def _variant(values: dict[str, Any], short: dict[str, str]) -> Variant:
    names = {place: value_name(value) for place, value in values.items()}
    if len(names) == 1:
        [name] = names.values()
    else:
        name = ", ".join(f"{short[place]}={text}" for place, text in names.items())
    return Variant(
        name=name,
        folder=_folder_name("--".join(f"{short[place]}-{text}" for place, text in names.items())),
        values=values,
        overrides=[f"{place}={json.dumps(value, default=str)}" for place, value in values.items()],
    )


def _folder_name(text: str) -> str:
    """Returns text as a part of a file's name; where that loses anything, a hash tells it apart."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", text)
    if plain == text and len(text) <= _LONGEST_FOLDER:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{plain[:_LONGEST_FOLDER]}-{digest}"


def _pieces(text: str) -> Iterator[str]:
    """Yields what lies between commas that are in no brackets and no quotes."""
    depth, quote, start = 0, "", 0
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in _OPENING:
            depth += 1
        elif sign in _CLOSING:
            depth -= 1
        elif sign == "," and depth == 0:
            yield text[start:place]
            start = place + 1
    yield text[start:]
