"""Old names of recipe keys and values, which this release still reads.

`load` renames them before anything is checked, and warns. So recipes, `--set` options and run
folders of earlier versions work, and the rest of the program knows the new names only.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tfface.errors import InputError, warn
from tfface.recipe.errors import dotted_path

# Old -> new, each with the section that both belong to: HEAD and SOURCE are any of their kind, N is
# a position in a list. `KEY=VALUE` renames one value.
RENAMED = {
    "about.data": "notes",
    "about.synthetic": "demo_overrides",
    "data.augmented_copies": "num_cached_augmentations",
    "data.images_per_identity": "samples_per_identity",
    "model.neck.hidden": "hidden_units",
    "model.neck.pooling=average_7x7": "pooling=adaptive_average_7x7",
    "model.pixels": "input_normalization",
    "training.device=any": "require_gpu=false",
    "training.device=gpu": "require_gpu=true",
    "training.stages.N.clip_norm": "global_clipnorm",
    "training.stages.N.ema": "ema_momentum",
    "training.stages.N.end_on_gap": "overfit_stop",
    "training.stages.N.freeze=batch_norm": "freeze=backbone_bn",
    "training.stages.N.overfit_stop.threshold": "max_gap",
    "training.stages.N.schedule.final_fraction": "min_lr_ratio",
    "training.stages.N.warmup_epochs": "lr_warmup_epochs",
    "HEAD.concentration": "h",
    "HEAD.lower_length": "lower_norm",
    "HEAD.num_centers": "centers_per_class",
    "HEAD.regulariser": "lambda_g",
    "HEAD.sampled_centers": "sample_rate",
    "HEAD.upper_length": "upper_norm",
    "HEAD.warmup_epochs": "margin_warmup_epochs",
    "SOURCE.empty_identities": "on_empty_identity",
    "SOURCE.images": "image_root",
    "SOURCE.part": "subset",
    "SOURCE.train_images": "shots",
    "SOURCE.without_box": "on_missing_box",
}

# Where components stand in a recipe. The name of one may follow, as in `{arcface: {margin: 0.3}}`;
# behind a source, also the sources that it is made of.
_COMPONENTS = (
    (re.compile(r"(data\.(train|validation)|evaluation\.classification|SOURCE)(\..*)?"), "SOURCE"),
    (re.compile(r"(model\.head|HEAD)(\.\w+)?"), "HEAD"),
    (re.compile(r"(training\.stages\.N\.schedule)\.\w+"), r"\1"),
)
_MAX_LISTED = 5
_WORDS = {"true": True, "false": False}


class Renames:
    """Renames old keys, and collects the warning about them.

    Args:
        where: the recipe or option, which the warning begins with.

    Example:

    >>> Renames("my.yaml").apply({"model": {"pixels": "raw"}})
    {'model': {'input_normalization': 'raw'}}
    """

    def __init__(self, where: str):
        self._where = where
        self._found: dict[str, str] = {}

    def apply(self, given: Any, path: tuple = ()) -> Any:
        """Returns a value of a recipe with new names.

        Args:
            given: any YAML value.
            path: the keys from the top of the recipe to it.

        Raises:
            InputError: a key is given by its old and by its new name.
        """
        if isinstance(given, list):
            return [self.apply(value, (*path, index)) for index, value in enumerate(given)]
        if not isinstance(given, dict):
            return given
        renamed: dict[Any, Any] = {}
        for old, old_value in given.items():
            new, value = _renamed(path, old, old_value)
            if new in renamed or (new != old and new in given):
                raise InputError(
                    f"{self._where}: {dotted_path((*path, old))}: is the old name of {new}, which "
                    "is given too; keep one"
                )
            if new != old:
                self._found[dotted_path((*path, old))] = f"now {new}"
            elif value is not old_value:
                self._found[f"{dotted_path((*path, old))}: {old_value}"] = f"now {value}"
            renamed[new] = self.apply(value, (*path, new))
        return renamed

    def apply_to_override(self, keys: Sequence[str], value: Any) -> tuple[list[str], Any]:
        """Returns keys and value of a `--set` option with new names.

        Example:

        >>> Renames("--set").apply_to_override(["training", "stages", "0", "ema"], 0.9)
        (['training', 'stages', '0', 'ema_momentum'], 0.9)
        """
        for key in reversed(keys):
            value = {key: value}
        value = self.apply(value)
        new_keys = []
        for _ in keys:
            [(key, value)] = value.items()
            new_keys.append(key)
        return new_keys, value

    def warn(self) -> None:
        """Warns the user of the old names, in one line."""
        if self._found:
            listed = [f"{old} is {new}" for old, new in self._found.items()]
            if len(listed) > _MAX_LISTED:
                listed[_MAX_LISTED:] = [f"and {len(listed) - _MAX_LISTED} more"]
            warn(f"{self._where}: old names, which this release still reads: {'; '.join(listed)}")


def rename_options(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Gives new names to the options of a component in a file of an earlier version.

    Args:
        kind: `head` or `source`.
        options: the component's options.

    Example:

    >>> rename_options("head", {"margin": 0.5, "sampled_centers": 0.1})
    {'margin': 0.5, 'sample_rate': 0.1}
    """
    return Renames(kind).apply(dict(options), (kind.upper(),))


def _renamed(path: tuple, key: Any, value: Any) -> tuple[Any, Any]:
    section = ".".join("N" if str(part).isdecimal() else str(part) for part in path)
    for pattern, name in _COMPONENTS:
        if match := pattern.fullmatch(section):
            section = match.expand(name)
    place = f"{section}.{key}"
    if place in RENAMED:
        return RENAMED[place], value
    if isinstance(value, str) and f"{place}={value}" in RENAMED:
        new, _, new_value = RENAMED[f"{place}={value}"].partition("=")
        return new, _WORDS.get(new_value, new_value)
    return key, value
