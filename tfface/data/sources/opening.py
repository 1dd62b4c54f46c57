"""Opening the source that a command-line argument or a recipe describes."""

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tfface.data.sources.image_source import ImageSource
from tfface.data.sources.source_registry import RECOGNIZED_BY, SOURCES
from tfface.errors import InputError
from tfface.file_kind import other_kind_of
from tfface.files import check_regular
from tfface.images.listing import looks_like_image
from tfface.paths import check_there, expanded
from tfface.recipe import load_source
from tfface.recipe.schema import SourceConfig
from tfface.recipe.yaml_file import parse_value
from tfface.registry import build_from_config


class OpenedSource(NamedTuple):
    """An opened source.

    Attributes:
        format: its key in `SOURCES`.
        source: the source.
        paths: the files or folders that it reads; none for synthetic faces.
    """

    format: str
    source: ImageSource
    paths: list[Path]


def formats() -> tuple[str, ...]:
    """Returns the names of sources that one path or name opens."""
    return tuple(
        name
        for name, source in SOURCES.items()
        if _first_option(source).default is inspect.Parameter.empty
        and _first_option(source).annotation in (Path, str)
    )


def open_source(argument: str, format: str = "auto") -> OpenedSource:
    """Opens the SOURCE argument of a tool.

    Args:
        argument: one of

            - `PATH`,
            - `NAME=PATH`, where `NAME` becomes `Identity.source`,
            - `{source: FORMAT, path: PATH, OPTION: VALUE, ...}`, as in a recipe; `NAME=` may
              precede it.
        format: one of `formats()`, or "auto" to detect the format of the path.

    Returns:
        The opened source.

    Raises:
        InputError: the format is unknown or not recognized, the path does not exist, or the
            source can't be opened.

    Example:
        >>> opened = open_source("demo={source: synthetic, num_identities: 2, size: 32}")
        >>> opened.format, opened.source.name, opened.source.num_images
        ('synthetic', 'demo', 40)
    """
    name, rest, part = _read_argument(argument)
    if part is not None:
        source = build_from_config(SOURCES[part.name], part.options, Path(), name=name)
        return OpenedSource(part.name, source, paths_in(part.options))
    known = formats()
    if format != "auto" and format not in known:
        raise InputError(f"format '{format}' is not known: auto, {', '.join(known)}")
    path = expanded(rest)
    takes_path = format == "auto" or _first_option(SOURCES[format]).annotation is Path
    if takes_path:
        check_there(path)
    check_regular(path)
    if format == "auto":
        format = detect_format(path)
    source = SOURCES[format](path if takes_path else rest, name=name)
    return OpenedSource(format, source, [path] if path.exists() else [])


def source_paths(argument: str) -> list[Path]:
    """Returns the files and folders that the SOURCE argument of a tool reads, without opening it.

    Args:
        argument: as `open_source` takes it.

    Raises:
        InputError: its format or an option is unknown.
    """
    _, rest, part = _read_argument(argument)
    if part is not None:
        return paths_in(part.options)
    path = expanded(rest)
    return [path] if path.exists() else []


def detect_format(path: Path) -> str:
    """Returns the format of an existing path.

    Args:
        path: a file or a folder.

    Returns:
        The key in `SOURCES`.

    Raises:
        InputError: no format matches.
    """
    for format, matches in RECOGNIZED_BY.items():
        if matches(path):
            return format
    if looks_like_image(path):
        raise InputError(
            f"{path}: a single image, not a set of images: give the folder that holds one folder "
            "for each person"
        )
    if kind := other_kind_of(path):
        raise InputError(f"{path}: is {kind}")
    raise InputError(
        f"{path}: its format is not recognized: name it, as in {{source: FORMAT, path: {path}}} "
        f"(FORMAT is {', '.join(formats())})"
    )


def read_nested(given: Mapping[str, Any], location: str) -> SourceConfig:
    """Validates a source inside the options of another source.

    Args:
        given: as in a recipe, `{source: NAME, option: value}`.
        location: the place of the option, for error messages.

    Returns:
        The validated source.

    Raises:
        InputError: one line for each mistake.
    """
    return load_source(given, SOURCES, location)


def open_nested(part: SourceConfig, paths_start: Path, name: str | None = None) -> ImageSource:
    """Opens a source inside the options of another source.

    Args:
        part: as `read_nested` returns it.
        paths_start: the folder of its relative paths.
        name: becomes `Identity.source`.

    Returns:
        The source.

    Raises:
        InputError: as the source.
    """
    source = SOURCES[part.name]
    return build_from_config(source, part.options, paths_start, name=name, paths_start=paths_start)


def paths_in(options: Mapping[str, Any]) -> list[Path]:
    """Returns the option `path` of a source, or the paths of the sources in its option `of`."""
    if options.get("path") is not None:
        return [expanded(options["path"])]
    return [path for part in _nested(options) for path in paths_in(part.options)]


def draws_images(part: SourceConfig) -> bool:
    """Whether a source, or one in its option `of`, takes a random part of the images it finds."""
    return part.name == "split" or any(map(draws_images, _nested(part.options)))


def _nested(options: Mapping[str, Any]) -> list[SourceConfig]:
    of = options.get("of") or []
    return [read_nested(given, "of") for given in (of if isinstance(of, list) else [of])]


def _first_option(source: Callable) -> inspect.Parameter:
    return next(iter(inspect.signature(source, eval_str=True).parameters.values()))


def _read_argument(argument: str) -> tuple[str | None, str, SourceConfig | None]:
    """Splits `NAME=REST`; returns None for a missing name, and the source if REST is in braces.

    A path may contain the sign itself.
    """
    given = re.fullmatch(r"([^=/{]+)=(.+)", argument, re.DOTALL)
    name, rest = (given[1], given[2]) if given and not Path(argument).exists() else (None, argument)
    if rest.startswith("{"):
        return name, rest, load_source(parse_value(rest), SOURCES, rest)
    return name, rest, None
