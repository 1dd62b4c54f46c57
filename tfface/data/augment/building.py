"""The augmentations of a recipe, built from their names and options."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfface.data.augment import AUGMENTATIONS
from tfface.recipe.schema import AugmentationConfig
from tfface.registry import build_from_config

# By class, options and image size.
_built: dict[tuple, Any] = {}
_MOST_KEPT = 64


def build_augmentations(
    parts: Sequence[AugmentationConfig], image_size: tuple[int, int]
) -> list[Any]:
    """Returns instances of augmentations, in order.

    Those with the same options are the same instance, so that a second pipeline uses what was
    compiled for the first. Layers of Keras, which have a state, are always new.

    Args:
        parts: As a recipe has them in `data.augment`.
        image_size: (height, width) of the model's input.

    Raises:
        InputError: An augmentation can't be built for this size.

    Example:
        >>> from tfface.recipe import parse_section
        >>> given = {"name": "random_flip", "probability": 1.0}
        >>> tables = {"augmentations": AUGMENTATIONS}
        >>> flip = parse_section(AugmentationConfig, given, tables, "augment")
        >>> [one], [other] = (build_augmentations([flip], (32, 32)) for _ in range(2))
        >>> type(one).__name__, one is other
        ('RandomFlip', True)
    """
    return [_build(part, image_size) for part in parts]


def _build(part: AugmentationConfig, image_size: tuple[int, int]) -> Any:
    kind = AUGMENTATIONS[part.name]
    key = (kind, json.dumps(part.options, sort_keys=True, default=str), tuple(image_size))
    if (kept := _built.get(key)) is not None:
        return kept
    # None of them takes a path.
    made = build_from_config(kind, part.options, Path(), image_size=image_size)
    if getattr(made, "uses_xla", True):
        if len(_built) >= _MOST_KEPT:
            _built.clear()
        _built[key] = made
    return made
