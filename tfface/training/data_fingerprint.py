"""What data a run began with, kept in the run folder so that it goes on with the same."""

import hashlib
from pathlib import Path

import numpy as np

from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError
from tfface.files import parse_json, write_json


def describe_source(source: ImageSource) -> dict[str, object]:
    """Returns what tells whether a source is still the same.

    Returns: `num_images`, `num_identities`; `labels`: a hash of whose each image is; `files`: the
        source's fingerprint.
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


def check_same(path: Path, sources: dict[str, dict[str, object]]) -> None:
    """Compares a run's sources with those it began with.

    Args:
        path: the file that `write` made; one that isn't there is compared with nothing.
        sources: what `describe_source` says of each, by its place in the recipe.
    Raises InputError: images or identities have come, gone or changed places. Where they are as
        many and of the same people, but files have other sizes or times, this is told.
    """
    if not path.exists():
        return
    try:
        before = parse_json(path.read_text(encoding="utf-8"))
        for place, now in sources.items():
            _compare(place, before[place], now)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: is damaged, so it can't be told whether the data is what the run began with; "
            "if you know it is, delete this file"
        ) from error


def write(path: Path, sources: dict[str, dict[str, object]]) -> None:
    """Writes what `check_same` compares with."""
    write_json(path, sources)


def _compare(place: str, before: dict[str, object], now: dict[str, object]) -> None:
    if before["labels"] != now["labels"]:
        raise InputError(
            f"{place}: has {now['num_images']:,} images of {now['num_identities']:,} identities, "
            f"and the run began with {before['num_images']:,} of {before['num_identities']:,}, or "
            "they are in another order now: bring the data back, or begin anew with another "
            "--run-dir"
        )
    if before["files"] != now["files"]:
        print(
            f"warning: {place}: has the images that the run began with, by number and order, but "
            "files have other sizes or times: if the pictures are others, the run isn't the same",
            flush=True,
        )
