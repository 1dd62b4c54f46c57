"""The tables of sources. `__init__.py` fills them; sources that open others read them from here."""

from collections.abc import Callable
from pathlib import Path

from tfface.data.sources.image_source import ImageSource

SOURCES: dict[str, Callable[..., ImageSource]] = {}

# The format of a path is the first whose function returns True.
RECOGNIZED_BY: dict[str, Callable[[Path], bool]] = {}
