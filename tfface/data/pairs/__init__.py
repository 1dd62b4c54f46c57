"""Verification sets: pairs of face images, read from the formats they are published in.

To add a format: one module, and one line in `FORMATS`. A module has

    DESCRIPTION                            what error messages call the format
    matches(source) -> bool                whether a --pairs argument is of this format
    load(source, name, images_dir) -> PairSet
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from tfface.data.pairs import (
    bcolz_folder,
    csv_pairs,
    insightface_bin,
    lfw_pairs,
    synthetic,
)
from tfface.data.pairs.pair_sampling import make_pairs, num_possible_pairs, without_repeats
from tfface.data.pairs.pair_set import PairSet
from tfface.errors import InputError, warn
from tfface.paths import expanded

__all__ = [
    "FORMATS",
    "PairSet",
    "check_names",
    "find_format",
    "load_pair_set",
    "make_pairs",
    "num_possible_pairs",
    "split_name",
    "without_repeats",
]

FORMATS: dict[str, ModuleType] = {
    "synthetic": synthetic,
    "insightface_bin": insightface_bin,
    "lfw_pairs": lfw_pairs,
    "csv_pairs": csv_pairs,
    "bcolz_folder": bcolz_folder,
}


def load_pair_set(argument: str | os.PathLike, *, images_dir: Path | None = None) -> PairSet:
    """Reads the verification set that a --pairs argument means.

    Args:
        argument: a path, or a reserved word; `name=path` gives the set another name than the
            stem of its file.
        images_dir: where the images of a text list are; by default the folder `images` beside it.

    Raises:
        InputError: there's no such file, it's of no known format, it's damaged, or an image is
            missing.
    """
    name, source = split_name(os.fspath(argument))
    module, _ = find_format(argument)
    if module is None:
        known = "; ".join(module.DESCRIPTION for module in FORMATS.values())
        problem = "not a verification set" if Path(source).exists() else "no such verification set"
        raise InputError(f"{source}: {problem}; one is {known}")
    pair_set = module.load(source, name, images_dir)
    _warn_of_repeats(pair_set, source)
    return pair_set


def _warn_of_repeats(pair_set: PairSet, source: str) -> None:
    """Says how many pairs count more than once, contradict each other or can't be wrong."""
    pairs = np.sort(np.stack([pair_set.first, pair_set.second], axis=1), axis=1)
    different = len(np.unique(pairs, axis=0))
    marked = np.concatenate([pairs, np.asarray(pair_set.is_genuine)[:, None]], axis=1)
    contradictions = len(np.unique(marked, axis=0)) - different
    counts = {
        "repeat another pair": len(pairs) - different,
        "are marked both genuine and impostor": contradictions,
        "pair an image with itself (or a copy, byte for byte)": np.sum(pairs[:, 0] == pairs[:, 1]),
    }
    said = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    if said:
        warn(f"{source}: of its {len(pairs):,} pairs {said}; all are evaluated as listed")


def find_format(argument: str | os.PathLike) -> tuple[ModuleType | None, str]:
    """Returns the module for a --pairs argument, None if no format matches, and its source."""
    _, source = split_name(os.fspath(argument))
    return next((module for module in FORMATS.values() if module.matches(source)), None), source


def check_names(names: Sequence[str], location: str = "") -> None:
    """Raises InputError if two sets have one name.

    Args:
        location: the option or recipe key with the sets, for the message.
    """
    for name in names:
        if names.count(name) > 1:
            prefix = f"{location}: " if location else ""
            raise InputError(f"{prefix}two sets are called '{name}'; rename one with NAME=PATH")


def split_name(argument: str) -> tuple[str, str]:
    """Returns name and source of `name=source` or of `source`; a path may itself hold a `=`."""
    given = re.fullmatch(r"([\w.-]+)=(.+)", argument)
    if given and not Path(argument).exists():
        return given[1], str(expanded(given[2]))
    return Path(argument).stem, str(expanded(argument))
