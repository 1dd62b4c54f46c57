"""Error messages of recipes: one line for each mistake."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import pydantic

from tfface.errors import nearest

# Keys of other training code, which are not spelled alike -> the keys of recipes.
_SYNONYMS = {
    "lr": "learning_rate",
    "base_lr": "learning_rate",
    "wd": "weight_decay",
    "betas": "beta_1",
    "eps": "epsilon",
    "bs": "batch_size",
    "num_epoch": "epochs",
    "num_epochs": "epochs",
    "max_epochs": "epochs",
    "n_epochs": "epochs",
    "scheduler": "schedule",
    "lr_schedule": "schedule",
    "warmup": "lr_warmup_epochs",
    "warmup_epochs": "lr_warmup_epochs",
    "clipnorm": "global_clipnorm",
    "gradient_clip_val": "global_clipnorm",
    "max_grad_norm": "global_clipnorm",
    "ema_decay": "ema_momentum",
    "m": "margin",
    "s": "scale",
    "pretrained": "weights",
    "random_seed": "seed",
    "feature_dim": "embedding_size",
    "input_size": "image_size",
    "transforms": "augment",
}

# Pydantic's words for Python's types, in YAML's.
_MUST_BE = {
    "model_type": "be a mapping",
    "dict_type": "be a mapping",
    "list_type": "be a list",
    "tuple_type": "be a list",
    "path_type": "be a path",
}


def format_validation_errors(
    error: pydantic.ValidationError,
    schema: type[pydantic.BaseModel],
    path: tuple = (),
    known: Sequence[str] = (),
) -> Iterator[str]:
    """Yields one line for each mistake.

    Args:
        error: what pydantic raised.
        schema: the model that was validated.
        path: keys from the top of the recipe to that model.
        known: the keys that are allowed there, if they are more than those of the model.
    """
    for mistake in error.errors(include_url=False):
        here = (*path, *mistake["loc"])
        kind, context = mistake["type"], mistake.get("ctx", {})
        if kind == "options":
            yield from format_validation_errors(context["error"], schema, here, context["known"])
        elif kind == "extra_forbidden":
            siblings = known or _known_keys(schema, mistake["loc"][:-1])
            yield f"{dotted_path(here)}: {unknown_message('key', str(here[-1]), siblings)}"
        elif kind == "missing":
            yield f"{dotted_path(here)}: missing; it must be given"
        elif kind == "message":
            yield f"{dotted_path(here)}: {context['text']}"
        else:
            must = _MUST_BE.get(kind) or re.sub(
                r"^\w+ should |( after validation)?, not \d+$", "", mistake["msg"]
            )
            yield f"{dotted_path(here)}: {_shown(mistake['input'])} is not allowed; must {must}"


def _known_keys(section: Any, path: Sequence) -> list[str]:
    """Returns the keys of the section at `path`."""
    for key in path:
        if not isinstance(key, int):
            section = next(sections_in(section.model_fields[key].annotation))
    return list(section.model_fields)


def sections_in(annotation: Any) -> Iterator[type[pydantic.BaseModel]]:
    """Yields the pydantic models in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from sections_in(argument)


def unknown_message(what: str, given: str, known: Collection[str]) -> str:
    """Returns what to say about an unknown name: what may be meant, and all known ones.

    Example:

    >>> unknown_message("key", "hed", ["backbone", "head"])
    "unknown key; did you mean 'head'? Known: backbone, head"
    """
    synonym = _SYNONYMS.get(given.lower())
    near = synonym if synonym in known else nearest(given, known)
    hint = f"did you mean '{near}'? " if near else ""
    return f"unknown {what}; {hint}Known: {join_names(known)}"


def join_names(names: Iterable[object]) -> str:
    return ", ".join(str(name) for name in names)


def dotted_path(path: Sequence) -> str:
    """Returns keys as `--set` takes them: `training.stages.0.epochs`."""
    return ".".join(str(key) for key in path) or "the recipe"


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, default=str)
    # A number of too many digits, or keys that are no texts: only Python can give them.
    except (TypeError, ValueError):
        text = type(value).__name__
    return text if len(text) <= 80 else text[:77] + "..."
