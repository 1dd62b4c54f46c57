"""JSON that anybody may have written, checked against the type that it must have."""

import functools
from typing import Annotated, Any, TypeVar, cast

from pydantic import Field, InstanceOf, TypeAdapter, ValidationError

from tfface.errors import shown
from tfface.files import parse_json

# As JSON has them: neither true nor 1.0 is a count.
Count = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
# Names of files are bytes that need not be text; Python's `str` holds them, as surrogates.
Text = InstanceOf[str]

_T = TypeVar("_T")
# Of a list in which everything is wrong, one error is enough.
ListOf = Annotated[list[_T], Field(fail_fast=True)]


def parse_as(type_: type[_T], text: str | bytes) -> _T:
    """Returns what JSON text holds, as an object of a type.

    Example:
        >>> parse_as(ListOf[Count], "[3, 4]")
        [3, 4]

    Args:
        type_: as pydantic takes it: a model, a dataclass, or a type of lists and dictionaries.
    Raises ValueError: it is not JSON, or of another type; the message is one line.
    """
    return checked_as(type_, parse_json(text))


def checked_as(type_: type[_T], content: Any) -> _T:
    """As `parse_as`, of JSON that is parsed already.

    Raises ValueError: it is of another type; the message names the first field that is.
    """
    try:
        return _adapter(cast(Any, type_)).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        given = first["input"]
        # Lists can be of any length and depth.
        if first["type"] != "missing" and not (isinstance(given, list | dict) and given):
            message += f", not {given!r}"
        raise ValueError(shown(f"{place}: {message}".removeprefix(": "))) from None


@functools.cache
def _adapter(type_: Any) -> TypeAdapter:
    return TypeAdapter(type_)
