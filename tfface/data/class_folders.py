"""What images of a source are called in a folder with one sub-folder per identity."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tfface.data.dataset_folder import Identity
from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError


def class_folders(identities: Sequence[Identity]) -> list[str]:
    """Returns a folder name for each identity: its name, after its source's where two share it."""
    names = [identity.name for identity in identities]
    shared = {name for name in names if names.count(name) > 1} if _repeats(names) else set()
    return [
        _safe(f"{identity.source}_{identity.name}" if identity.name in shared else identity.name)
        for identity in identities
    ]


def image_stems(source: ImageSource) -> list[str]:
    """Returns the path of each image without its extension: IDENTITY/NAME, no two alike.

    Sub-folders of an identity's folder stay. Where two names differ in their extension only, or a
    source calls two images the same, `_2`, `_3` and so on are added.
    """
    folders = class_folders(source.identities)
    stems, taken = [], set()
    for index in range(source.num_images):
        label = int(source.labels[index])
        parts = PurePosixPath(source.filename(index)).parts
        inside = parts[1:] if parts[0] == source.identities[label].name else parts[-1:]
        stem = "/".join([folders[label], *map(_safe, inside)])
        stem = wanted = os.path.splitext(stem)[0]
        number = 1
        while stem in taken:
            number += 1
            stem = f"{wanted}_{number}"
        taken.add(stem)
        stems.append(stem)
    return stems


def check_output(source: Path | None, output: Path) -> None:
    """Raises InputError: `output` lies in the folder that images are read from."""
    if source is not None and source.is_dir() and output.resolve().is_relative_to(source.resolve()):
        raise InputError(
            f"{output}: lies in {source}, where its images would be taken for those of a person: "
            "choose an output folder elsewhere"
        )


def _repeats(names: list[str]) -> bool:
    return len(set(names)) < len(names)


def _safe(name: str) -> str:
    """A name that is one visible part of a path."""
    name = name.replace("/", "_").replace("\0", "_")
    return f"_{name.lstrip('.')}" if name.startswith(".") or not name else name
