"""What options the components of all registries take, as a module that needs no TensorFlow.

The registries hold the components themselves, which are TensorFlow's and Keras' to import: that
takes seconds. A mistake in a recipe is to be found before, so `source` writes the annotations of
the components' options down as `component_options.py`, from which `light` makes registries that
check options as the real ones do, and can do nothing else.
"""

import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from tfface.registry import Registry

# Stands for any further options, where a component takes such.
_ANY_OTHER = "**"
_HEAD = '''\
"""The options of components; see `signatures`.

Made by `python tools/update_reference.py` from the components; do not edit.
"""

# ruff: noqa: E501
# fmt: off

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

# Kind -> component -> option -> (annotation,) or (annotation, default).
OPTIONS: dict[str, dict[str, dict[str, tuple]]] = {
'''
_PLAIN = (bool, int, float, str, Path)
# What pydantic makes of `Field`, by the class of the package annotated_types.
_LIMITS = {
    **{"Ge": "ge", "Gt": "gt", "Le": "le", "Lt": "lt"},
    **{"MinLen": "min_length", "MaxLen": "max_length"},
}


def light() -> dict[str, Registry]:
    """Returns registries, as `tfface.recipe.load` takes them, whose components only have options.

    Example:
        >>> from tfface.registry import options_schema
        >>> options_schema(light()["heads"]["arcface"]).model_validate({"margin": 0.3}).scale
        64.0
    """
    from tfface.recipe.component_options import OPTIONS

    return {
        kind: {name: _with_options(options) for name, options in components.items()}
        for kind, components in OPTIONS.items()
    }


def source(registries: Mapping[str, Registry]) -> str:
    """Returns `component_options.py` as it is to be.

    Args:
        registries: as for `tfface.recipe.load`.
    Raises TypeError: an annotation is of a form that isn't known here.

    Example:
        >>> def noise(stddev: float, fill: Literal["black", "grey"] = "grey"): ...
        >>> print(source({"augmentations": {"noise": noise}}).partition("OPTIONS")[2])
        : dict[str, dict[str, dict[str, tuple]]] = {
            "augmentations": {
                "noise": {
                    "stddev": (float,),
                    "fill": (Literal['black', 'grey'], 'grey'),
                },
            },
        }
        <BLANKLINE>
    """
    lines = []
    for kind, registry in registries.items():
        lines.append(f'    "{kind}": {{')
        for name, component in registry.items():
            lines += [f'        "{name}": {{', *_lines(component), "        },"]
        lines.append("    },")
    return _HEAD + "\n".join(lines) + "\n}\n"


def _lines(component: Any) -> Iterator[str]:
    for parameter in inspect.signature(component, eval_str=True).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            yield f'            "{_ANY_OTHER}": (),'
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            continue
        default = " " + repr(parameter.default) if parameter.default is not parameter.empty else ""
        yield f'            "{parameter.name}": ({_text(parameter.annotation)},{default}),'


def _text(annotation: Any) -> str:
    """Returns an annotation as Python writes it, without descriptions."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is types.NoneType:
        return "None"
    if annotation is Any:
        return "Any"
    if annotation in _PLAIN:
        return annotation.__name__
    if origin is Annotated:
        limits = ", ".join(limit for field in arguments[1:] for limit in _limits(field))
        inner = _text(arguments[0])
        return f"Annotated[{inner}, Field({limits})]" if limits else inner
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(_text, arguments))
    if origin in (list, tuple, dict):
        return f"{origin.__name__}[{', '.join(map(_text, arguments))}]"
    raise TypeError(f"{annotation!r}: signatures.py can't write this annotation down")


def _limits(field: Any) -> Iterator[str]:
    if not isinstance(field, FieldInfo):
        raise TypeError(f"{field!r}: signatures.py can't write this annotation down")
    for limit in field.metadata:
        name = _LIMITS.get(type(limit).__name__)
        if name is None:
            raise TypeError(f"{limit!r}: signatures.py can't write this limit down")
        yield f"{name}={getattr(limit, name)!r}"


def _with_options(options: Mapping[str, tuple]) -> Any:
    """Returns a component that has options, and does nothing."""

    def component() -> None: ...

    parameters = []
    for name, of_option in options.items():
        if name == _ANY_OTHER:
            parameters.append(inspect.Parameter("others", inspect.Parameter.VAR_KEYWORD))
            continue
        annotation, default = (*of_option, inspect.Parameter.empty)[:2]
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters.append(inspect.Parameter(name, kind, annotation=annotation, default=default))
    component.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return component
