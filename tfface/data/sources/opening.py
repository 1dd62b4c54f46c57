"""Opening the SOURCE that a tool was given."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tfface.data.sources import RECOGNISED_BY, SOURCES
from tfface.data.sources.image_source import ImageSource
from tfface.data.sources.nested import paths_in
from tfface.errors import InputError
from tfface.images.listing import looks_like_image
from tfface.paths import expanded
from tfface.recipe import load_source
from tfface.recipe.yaml_file import parse_value
from tfface.registry import build_from_config


def _first_option(source: Callable) -> inspect.Parameter:
    return next(iter(inspect.signature(source, eval_str=True).parameters.values()))


# What --format may say besides "auto": sources that a path, or the name of a set, is enough for.
FORMATS = tuple(
    name
    for name, source in SOURCES.items()
    if _first_option(source).default is inspect.Parameter.empty
    and _first_option(source).annotation in (Path, str)
)


class OpenedSource(NamedTuple):
    """A source, the name of its format, and where it is (drawn faces: nowhere)."""

    format: str
    source: ImageSource
    paths: list[Path]


def open_source(argument: str, format: str = "auto") -> OpenedSource:
    """Opens PATH, NAME=PATH, or with options NAME={source: FORMAT, path: PATH, OPTION: VALUE, ...}.

    The last form is what a recipe says of a source, and NAME= may be left out there, too.

    Args:
        argument: such a text; NAME is what `Identity.source` will say.
        format: one of `FORMATS`, or "auto" to see what the path holds.
    Raises InputError: the format is not known or not recognised, the path does not exist, or the
        source can't be opened.
    """
    name, rest = _split(argument)
    if rest.startswith("{"):
        part = load_source(parse_value(rest), SOURCES, rest)
        source = build_from_config(SOURCES[part.name], part.options, Path(), name=name)
        return OpenedSource(part.name, source, paths_in(part.options))
    if format != "auto" and format not in FORMATS:
        raise InputError(f"format '{format}' is not known: auto, {', '.join(FORMATS)}")
    path = expanded(rest)
    if (format == "auto" or _takes_a_path(SOURCES[format])) and not path.exists():
        raise InputError(f"{rest}: no such file or folder")
    if format == "auto":
        format = recognised(path)
    source = SOURCES[format](path if _takes_a_path(SOURCES[format]) else rest, name=name)
    return OpenedSource(format, source, [path] if path.exists() else [])


def _split(argument: str) -> tuple[str | None, str]:
    """Returns name (or None) and the rest; a path may itself hold the sign."""
    given = re.fullmatch(r"([^=/{]+)=(.+)", argument, re.DOTALL)
    if given and not Path(argument).exists():
        return given[1], given[2]
    return None, argument


def _takes_a_path(source: Callable) -> bool:
    return _first_option(source).annotation is Path


def recognised(path: Path) -> str:
    """Returns the format that a path, which must be there, looks like.

    Raises InputError: it looks like none.
    """
    for format, fits in RECOGNISED_BY.items():
        if fits(path):
            return format
    if looks_like_image(path):
        raise InputError(
            f"{path}: one image, and not a set of them: give the folder that holds a folder for "
            "each person"
        )
    raise InputError(
        f"{path}: its format is not recognised: say which with --input-format "
        f"({', '.join(FORMATS)})"
    )
