"""Sources inside the options of other sources, as `of` has them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# As a whole: its table has lines of the sources that need this file, and is known only later.
from tfface.data import sources
from tfface.data.sources.image_source import ImageSource
from tfface.paths import expanded
from tfface.recipe import load_source
from tfface.recipe.schema import SourceConfig
from tfface.registry import build_from_config


def read_nested(given: Mapping[str, Any], place: str) -> SourceConfig:
    """Checks what a recipe says of a source, `{source: NAME, option: value}`.

    Args:
        place: where it stands, which errors begin with.
    Raises InputError: one line for each mistake.
    """
    return load_source(given, sources.SOURCES, place)


def open_nested(part: SourceConfig, paths_start: Path, name: str | None = None) -> ImageSource:
    """Opens such a source.

    Args:
        paths_start: where its relative paths start.
        name: what to call the source in `Identity.source`.
    Raises InputError: as the source does.
    """
    source = sources.SOURCES[part.name]
    return build_from_config(source, part.options, paths_start, name=name, paths_start=paths_start)


def paths_in(options: Mapping[str, Any]) -> list[Path]:
    """Returns the option `path`, or those of the sources in the option `of`."""
    if options.get("path") is not None:
        return [expanded(options["path"])]
    of = options.get("of") or []
    nested = of if isinstance(of, list) else [of]
    return [path for given in nested for path in paths_in(read_nested(given, "of").options)]
