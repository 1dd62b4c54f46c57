"""Verification sets: pairs of face images, read from the formats they are published in.

To add a format, write a module and add it to `FORMATS`. A module has

    DESCRIPTION                            the format's name in error messages
    matches(source) -> bool                whether a --pairs argument is in this format
    load(source, name, images_dir) -> PairSet
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from tfface.data.pairs import (
    arrow_folder,
    bcolz_folder,
    csv_pairs,
    insightface_bin,
    lfw_pairs,
    memory_map_folder,
    synthetic,
)
from tfface.data.pairs.pair_sampling import deduplicate_images, make_pairs, num_possible_pairs
from tfface.data.pairs.pair_set import PairSet
from tfface.errors import InputError, warn
from tfface.file_kind import other_kind_of
from tfface.files import check_regular
from tfface.paths import did_you_mean_path, expanded

__all__ = [
    "FORMATS",
    "PairSet",
    "check_names",
    "deduplicate_images",
    "find_format",
    "load_pair_set",
    "make_pairs",
    "num_possible_pairs",
    "split_name",
]

FORMATS: dict[str, ModuleType] = {
    "synthetic": synthetic,
    "insightface_bin": insightface_bin,
    "lfw_pairs": lfw_pairs,
    "csv_pairs": csv_pairs,
    "bcolz_folder": bcolz_folder,
    "memory_map_folder": memory_map_folder,
    "arrow_folder": arrow_folder,
}


def load_pair_set(argument: str | os.PathLike, *, images_dir: Path | None = None) -> PairSet:
    """Reads a verification set.

    Args:
        argument: a path, or the word `synthetic`; `name=path` sets the name of the set, which is
            the stem of its file by default.
        images_dir: the folder of the images of a text list; by default the folder `images` next to
            it.

    Returns:
        The pairs.

    Raises:
        InputError: the file does not exist, is in no known format, is damaged, or an image is
            missing.

    Example:
        >>> load_pair_set("lfw.bin")
        Traceback (most recent call last):
        tfface.errors.InputError: lfw.bin: no such file
    """
    name, source = split_name(os.fspath(argument))
    check_regular(Path(source))
    module, _ = find_format(argument)
    known = "; ".join(module.DESCRIPTION for module in FORMATS.values())
    if module is not synthetic and not Path(source).exists():
        what, kinds = ("file", "") if module else ("verification set", f"; one is {known}")
        raise InputError(f"{source}: no such {what}{did_you_mean_path(source) or kinds}")
    if module is None:
        if kind := other_kind_of(Path(source)):
            raise InputError(f"{source}: is {kind}")
        advice = (
            "; 'tfface pairs' makes one from a folder of identities"
            if Path(source).is_dir()
            else ""
        )
        raise InputError(f"{source}: not a verification set; one is {known}{advice}")
    pair_set = module.load(source, name, images_dir)
    _warn_about_repeats(pair_set, source)
    return pair_set


def _warn_about_repeats(pair_set: PairSet, source: str) -> None:
    """Warns about repeated, contradictory and trivial pairs."""
    pairs = np.sort(np.stack([pair_set.first, pair_set.second], axis=1), axis=1)
    num_distinct = len(np.unique(pairs, axis=0))
    labeled = np.concatenate([pairs, np.asarray(pair_set.is_genuine)[:, None]], axis=1)
    contradictions = len(np.unique(labeled, axis=0)) - num_distinct
    counts = {
        "repeat another pair": len(pairs) - num_distinct,
        "are labeled both genuine and impostor": contradictions,
        "pair an image with itself (or a byte-identical copy)": np.sum(pairs[:, 0] == pairs[:, 1]),
    }
    problems = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    if problems:
        warn(f"{source}: of its {len(pairs):,} pairs {problems}; all are evaluated as listed")


def find_format(argument: str | os.PathLike) -> tuple[ModuleType | None, str]:
    """Returns the module of a --pairs argument's format (None if none matches) and its source."""
    _, source = split_name(os.fspath(argument))
    return next((module for module in FORMATS.values() if module.matches(source)), None), source


def check_names(names: Sequence[str], location: str = "") -> None:
    """Checks that the names of sets differ.

    Args:
        names: of the sets.
        location: the option or recipe key of the sets, for the message.

    Raises:
        InputError: two sets have the same name.
    """
    for name in names:
        if names.count(name) > 1:
            prefix = f"{location}: " if location else ""
            raise InputError(f"{prefix}two sets are called '{name}'; rename one with NAME=PATH")


def split_name(argument: str) -> tuple[str, str]:
    """Returns name and source of `name=source` or `source`; a path may contain `=` itself."""
    given = re.fullmatch(r"([\w.-]+)=(.+)", argument)
    if given and not Path(argument).exists():
        return given[1], str(expanded(given[2]))
    return Path(argument).stem, str(expanded(argument))
