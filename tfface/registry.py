"""Parts: the backbones, heads, sources, augmentations and optimizers a recipe may name.

A table of parts is a plain dict from name to callable. The callable's annotated parameters are the
options a recipe may give; its keyword-only parameters are given by the program:

    def random_crop(from_size: Annotated[int, Field(ge=32)], *, image_size): ...

    augment: [{random_crop: {from_size: 128}}]
"""

import inspect
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic_core import PydanticCustomError

from tfface.paths import EMPTY_PATH, expanded

Table = Mapping[str, Callable]

# Types are not converted silently: `epochs: "3"`, or `true` for a number, is a mistake.
STRICT = pydantic.ConfigDict(
    extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True, frozen=True
)


def _named(given: Any) -> Any:
    if given == "":
        raise PydanticCustomError("validation", EMPTY_PATH)
    return given


# Of a path in a recipe: pydantic takes "" for ".".
NAMED_PATH = pydantic.BeforeValidator(_named)


def options_model(part: Callable) -> type[pydantic.BaseModel]:
    """Returns the pydantic model of the options that `part` takes.

    Raises TypeError: a parameter has no annotation, so its values couldn't be checked.
    """
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(part, eval_str=True).parameters.values():
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            continue
        if parameter.annotation is parameter.empty:
            raise TypeError(f"{part!r}: parameter '{parameter.name}' needs an annotation.")
        default = ... if parameter.default is parameter.empty else parameter.default
        annotation = parameter.annotation
        if annotation is Path or Path in typing.get_args(annotation):
            annotation = Annotated[annotation, NAMED_PATH]
        fields[parameter.name] = (annotation, default)
    return pydantic.create_model("options", __config__=STRICT, **fields)


def build(part: Callable, options: Mapping[str, Any], data_dir: Path, **given: Any) -> Any:
    """Calls `part` with its options and with those of `given` that it asks for.

    Args:
        options: as checked by `options_model`; relative paths in it start at `data_dir`.
        given: what the program knows (image size, number of identities, ...). A keyword-only
            parameter of `part` that is not in it and has no default is a TypeError.
    """
    resolved = {
        name: data_dir / expanded(value) if isinstance(value, Path) else value
        for name, value in options.items()
    }
    wanted = [
        parameter.name
        for parameter in inspect.signature(part).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    return part(**resolved, **{name: given[name] for name in wanted if name in given})
