"""JSON that anybody may have written, checked against the type that it must have."""

import functools
import json
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import Field, InstanceOf, TypeAdapter, ValidationError

from tfface.errors import InputError, shown
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
        raise ValueError(shown(f"{place}: {_mistake(first)}".removeprefix(": "))) from None


def check_version(path: Path, content: Any, key: str, known: int) -> None:
    """Raises InputError: a JSON file is no object, or of a version that isn't known.

    Args:
        path: of the file.
        content: parsed.
        key: of the version.
        known: the version that is read.
    """
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be an object, got {shown(json_text(content))}")
    if key not in content:
        raise InputError(f"{path}: {key} is missing")
    # true equals 1.
    if json_text(content[key]) != str(known):
        raise InputError(
            f"{path}: {key} is {shown(json_text(content[key]))}, and this version of tfface reads "
            f"{known}"
        )


def json_text(value: Any) -> str:
    """Returns a value of a JSON file as it is written there; lists and objects by their kind."""
    # They can be of any length and depth.
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else json.dumps(value, ensure_ascii=False)


# By pydantic's types of errors.
_WANTED = {
    **dict.fromkeys(("model_type", "dataclass_type", "dict_type"), "an object"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(("string_type", "is_instance_of"), "text"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "a number"),
    "bool_type": "true or false",
    "none_required": "null",
}


def _mistake(error: Any) -> str:
    """Returns what is wrong with a value, in the words of JSON.

    Args:
        error: an entry of pydantic's `errors`.
    """
    type_, given, context = error["type"], error["input"], error.get("ctx", {})
    if type_ == "missing":
        return "is missing"
    if type_ in ("extra_forbidden", "unexpected_keyword_argument"):
        return "is not known"
    if type_ == "too_long":
        return f"must have {context['max_length']} entries, got more"
    if type_ == "value_error" and isinstance(given, list | dict):
        return str(context["error"])
    if type_ in _WANTED:
        problem = f"must be {_WANTED[type_]}"
    elif type_ == "greater_than_equal":
        problem = f"must be {context['ge']} or more"
    elif type_ == "less_than":
        problem = f"must be less than {context['lt']}"
    elif type_ == "literal_error":
        problem = f"must be {context['expected']}"
    else:
        problem = error["msg"].removeprefix("Value error, ")
    return f"{problem}, got {json_text(given)}"


@functools.cache
def _adapter(type_: Any) -> TypeAdapter:
    return TypeAdapter(type_)
