"""Registries: the backbones, heads, sources, augmentations and optimizers that a recipe may name.

A registry is a plain dict from a name to a component, which is any callable. Its annotated
parameters are the options that a recipe may give; its keyword-only parameters come from the
program:

    def random_crop(from_size: Annotated[int, Field(ge=32)], *, image_size):
        '''Loads larger images and cuts each at a random position.

        Args:
            from_size: side of the loaded images in pixels.
        '''

    augment: [{random_crop: {from_size: 128}}]

An option is described where it is declared: by `Field(description=...)` in its annotation, which
several components may share, or else by the `Args` of the docstring.
"""

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import pydantic
from pydantic import BeforeValidator, Field, Strict
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, core_schema

from tfface.paths import EMPTY_PATH, expanded

Registry = Mapping[str, Callable]

# Types are not converted silently: `epochs: "3"`, or `true` for a number, is an error.
STRICT = pydantic.ConfigDict(
    extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True, frozen=True
)


class _Alias:
    """Annotation of a type: one more way to write a value in YAML."""

    def __init__(self, alias: Any, value: Any):
        self._alias, self._value = alias, value

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_before_validator_function(
            lambda given: self._value if given == self._alias else given, handler(source)
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"const": self._alias}]}


T = TypeVar("T")


def _not_empty(given: Any) -> Any:
    # pydantic reads "" as the path ".".
    if given == "":
        raise PydanticCustomError("message", "{text}", {"text": EMPTY_PATH})
    return given


# A path as YAML gives it: text, which is not empty.
YamlPath = Annotated[Path, Strict(False), BeforeValidator(_not_empty)]
# In a recipe the word `none` means null, and null means `none` where that is one of the choices.
OrNone = Annotated[T | None, _Alias("none", None)]
WithNone = Annotated[T, _Alias(None, "none")]


def build_from_config(
    component: Callable, options: Mapping[str, Any], data_dir: Path, **given: Any
) -> Any:
    """Calls a component with its options and with those of `given` that it asks for.

    Args:
        component: an entry of a registry.
        options: as `options_schema` has checked them. Relative paths start at `data_dir`.
        data_dir: the folder of the data.
        given: what the program knows (image size, number of identities, ...). It is a TypeError if
            a keyword-only parameter without a default is missing.

    Returns:
        What the component returns.

    Example:

    >>> def crop(from_size: int, *, image_size):
    ...     return from_size - image_size
    >>> build_from_config(crop, {"from_size": 128}, Path("data"), image_size=112, seed=3)
    16
    """
    resolved = {
        name: data_dir / expanded(value) if isinstance(value, Path) else value
        for name, value in options.items()
    }
    wanted = [
        parameter.name
        for parameter in inspect.signature(component).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    return component(**resolved, **{name: given[name] for name in wanted if name in given})


@functools.cache
def options_schema(component: Callable) -> type[pydantic.BaseModel]:
    """Returns the pydantic model of the options that a component takes.

    A component with a `**` parameter takes any further options, and checks them itself.

    Args:
        component: an entry of a registry.

    Returns:
        A model with one described field for each option. It reads values as YAML gives them.

    Raises:
        TypeError: a parameter has no annotation, so its values could not be checked.

    Example:

    >>> def noise(stddev: float = 0.1): ...
    >>> options_schema(noise).model_validate({"stddev": 0.5}).stddev
    0.5
    """
    described = _described_arguments(component)
    fields: dict[str, Any] = {}
    config = STRICT
    for parameter in inspect.signature(component, eval_str=True).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            config = pydantic.ConfigDict(**{**STRICT, "extra": "allow"})
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            continue
        if parameter.annotation is parameter.empty:
            raise TypeError(f"{component!r}: parameter '{parameter.name}' needs an annotation.")
        field: dict[str, Any] = {}
        if parameter.default is not parameter.empty:
            field["default"] = parameter.default
        if not FieldInfo.from_annotation(parameter.annotation).description:
            field["description"] = described.get(parameter.name)
        fields[parameter.name] = (_as_in_yaml(parameter.annotation), Field(**field))
    return pydantic.create_model("options", __config__=config, **fields)


def check_arguments(component: Callable, **arguments: Any) -> None:
    """Checks arguments by the annotations of a component's signature, as a recipe's options are.

    Raises:
        ValueError: one has a wrong type or is out of range.
    """
    try:
        options_schema(component)(**arguments)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        name = first["loc"][0]
        raise ValueError(
            f"{component.__name__}({name}={first['input']!r}): {first['msg'][:1].lower()}"
            f"{first['msg'][1:]}"
        ) from error


def summary(component: Callable) -> str:
    """Returns the first paragraph of a component's docstring on one line, "" if it has none.

    Example:

    >>> def flip():
    ...     '''Mirrors an image.'''
    >>> summary(flip)
    'Mirrors an image.'
    """
    return " ".join(inspect.cleandoc(component.__doc__ or "").partition("\n\n")[0].split())


def _as_in_yaml(annotation: Any) -> Any:
    """Returns a type that also takes its values as YAML has them.

    YAML has texts for paths and lists for tuples. The word `none` and null are the same.
    """
    arguments = get_args(annotation)
    if annotation == Path:
        return YamlPath
    if get_origin(annotation) is tuple:
        return Annotated[annotation, Strict(False)]
    if get_origin(annotation) is Annotated:
        return Annotated[(_as_in_yaml(arguments[0]), *annotation.__metadata__)]
    if get_origin(annotation) in (typing.Union, types.UnionType):
        others = tuple(_as_in_yaml(one) for one in arguments if one is not types.NoneType)
        union: Any = typing.Union[others]  # noqa: UP007
        # Called by hand: to a type checker, the types here are values.
        return OrNone.__getitem__(union) if types.NoneType in arguments else union
    if get_origin(annotation) is Literal and "none" in arguments:
        return WithNone.__getitem__(annotation)
    return annotation


def _described_arguments(component: Callable) -> dict[str, str]:
    """Returns what the `Args` of the docstring, or of that of a base class, say.

    A component made by a function may name others that describe its arguments: `documented_by`.
    """
    found: dict[str, str] = {}
    owners = inspect.getmro(component) if inspect.isclass(component) else (component,)
    for owner in (*owners, *getattr(component, "documented_by", ())):
        for documented in (owner, vars(owner).get("__init__") if inspect.isclass(owner) else None):
            docstring = inspect.cleandoc(getattr(documented, "__doc__", None) or "")
            section = re.search(r"^Args:\n((?: +.*\n?|\n)*)", docstring, re.MULTILINE)
            entries = re.findall(
                r"^    (\w+(?:, \w+)*): (.*(?:\n(?:     .*)?)*)",
                section[1] if section else "",
                re.MULTILINE,
            )
            for names, text in entries:
                text = " ".join(text.split())
                # What is described in a base class is found there.
                if not re.fullmatch(r"see `?\w+`?\.?", text):
                    found = dict.fromkeys(names.split(", "), text) | found
    return found
