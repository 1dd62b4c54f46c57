"""Saying what is wrong in a recipe: one line for each mistake."""

import difflib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import pydantic


def mistakes(
    error: pydantic.ValidationError, schema: type, place: tuple = (), known: Sequence[str] = ()
) -> Iterator[str]:
    """Yields one line for each mistake."""
    for mistake in error.errors(include_url=False):
        here = (*place, *mistake["loc"])
        kind, context = mistake["type"], mistake.get("ctx", {})
        if kind == "options":
            yield from mistakes(context["error"], schema, here, context["known"])
        elif kind == "extra_forbidden":
            siblings = known or _known_keys(schema, mistake["loc"][:-1])
            yield f"{dotted(here)}: {unknown('key', str(here[-1]), siblings)}"
        elif kind == "missing":
            yield f"{dotted(here)}: missing; it must be given"
        elif kind == "recipe":
            yield from context["lines"]
        elif kind in ("part", "unknown_part", "validation", "names", "warmup"):
            yield f"{dotted(here)}: {mistake['msg']}"
        else:
            reason = re.sub(r"^\w+ should |( after validation)?, not \d+$", "", mistake["msg"])
            # Pydantic speaks of JSON, and a recipe is YAML.
            reason = reason.replace("valid array", "list").replace("an object", "a mapping")
            yield f"{dotted(here)}: {_shown(mistake['input'])} is not allowed; must {reason}"


def _known_keys(section: Any, place: Sequence) -> list[str]:
    """The keys that the section at `place` knows."""
    for key in place:
        if isinstance(key, int):
            continue
        annotation = section.model_fields[key].annotation
        section = next(iter(_sections_in(annotation)))
    return list(section.model_fields)


def _sections_in(annotation: Any) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _sections_in(argument)


def unknown(what: str, given: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(given, list(known), n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"unknown {what}; {hint}Known: {listed(known)}"


def listed(names: Iterable[object]) -> str:
    return ", ".join(str(name) for name in names)


def dotted(place: Sequence) -> str:
    return ".".join(str(key) for key in place) or "the recipe"


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."
