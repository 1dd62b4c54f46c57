"""Fingerprints of a run's data, in its data.json, by which data that changed since are noticed."""

import hashlib
from pathlib import Path
from typing import TypeAlias

import numpy as np

from tfface.data.sources.image_source import ImageSource
from tfface.data.sources.opening import draws_images
from tfface.errors import InputError, note
from tfface.files import parse_json, read_regular, write_json
from tfface.recipe import Recipe
from tfface.recipe.schema import SourceConfig

# What `describe_source` returns; or `model`, which identifies a teacher.
Fingerprint: TypeAlias = dict[str, object]

_OF_IMAGES = ("num_images", "num_identities", "labels", "files")
_OF_TEACHER = ("model",)


def describe_source(source: ImageSource) -> Fingerprint:
    """Returns a fingerprint of a source, as JSON can hold it.

    Returns:
        `num_images`, `num_identities`; `labels`: a hash of labels and identities' names; `files`:
        the source's own fingerprint of its files.
    """
    digest = hashlib.sha256(np.ascontiguousarray(source.labels, np.int64).tobytes())
    for identity in source.identities:
        digest.update(identity.name.encode(errors="surrogateescape") + b"\0")
    return {
        "num_images": source.num_images,
        "num_identities": source.num_identities,
        "labels": digest.hexdigest(),
        "files": source.fingerprint,
    }


def fingerprinted_sources(recipe: Recipe) -> dict[str, SourceConfig]:
    """Returns the sources of a recipe whose fingerprints a run keeps, by key."""
    found = {"data.train": recipe.data.train}
    if recipe.data.validation is not None and recipe.data.validation.source is not None:
        found["data.validation"] = recipe.data.validation.source
    return found


def write_fingerprints(path: Path, sources: dict[str, Fingerprint]) -> None:
    """Writes fingerprints, each by the key of its source or teacher in the recipe."""
    write_json(path, sources)


def read_fingerprints(path: Path) -> dict[str, Fingerprint] | None:
    """Returns what `write_fingerprints` wrote; None if the file is missing.

    Raises:
        InputError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        found = parse_json(read_regular(path))
        is_sound = "data.train" in found and all(
            entry.keys() in (set(_OF_IMAGES), set(_OF_TEACHER)) for entry in found.values()
        )
    except (OSError, ValueError, TypeError, AttributeError):
        is_sound = False
    if not is_sound:
        raise _damaged(path)
    return found


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path}: is damaged, so the data can't be compared with those the run began with; if you "
        "know they are the same, delete this file"
    )


def has_same_images(before: Fingerprint, now: Fingerprint, config: SourceConfig) -> bool:
    """Whether two fingerprints of one source are of the same images, as far as they tell.

    Args:
        before, now: as `describe_source` returns them.
        config: of the source, in the recipe. Where it draws some of the images of a folder, one
            photo more or less changes which: then the files must be the same, too.
    """
    if before["labels"] != now["labels"]:
        return False
    return before["files"] == now["files"] or not draws_images(config)


def check_same(path: Path, sources: dict[str, Fingerprint]) -> None:
    """Compares a run's data with those it began with, and warns if only files' times differ.

    Args:
        path: what `write_fingerprints` wrote; a missing file is compared with nothing.
        sources: the fingerprints now, by key.

    Raises:
        InputError: images or identities were added, removed or reordered, the teacher is another
            model, or the file is damaged.
    """
    before = read_fingerprints(path)
    if before is None:
        return
    for key, now in sources.items():
        if before.get(key, {}).keys() != now.keys():
            raise _damaged(path)
        _compare(key, before[key], now)


def _compare(key: str, before: Fingerprint, now: Fingerprint) -> None:
    if "model" in now:
        if before["model"] != now["model"]:
            raise InputError(
                f"{key}: is another model than the run began with, or has other options: restore "
                "it, or start a new run with another --run-dir"
            )
        return
    if before["labels"] != now["labels"]:
        raise InputError(
            f"{key}: has {number_of_images(now)}, and the run began with "
            f"{number_of_images(before)}, or they are in another order now: restore the data, or "
            "start a new run with another --run-dir"
        )
    if before["files"] != now["files"]:
        note(
            f"warning: {key}: has the images that the run began with, by number and order, but "
            "files have other sizes or times: if the pictures are others, the run isn't the same",
        )


def number_of_images(fingerprint: Fingerprint) -> str:
    """Returns `NUMBER images of NUMBER identities`."""
    return f"{fingerprint['num_images']:,} images of {fingerprint['num_identities']:,} identities"
