"""What images of a source are called in a folder with one sub-folder per identity."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from tfface.data.records.manifest import Identity
from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError


def class_folders(identities: Sequence[Identity]) -> list[str]:
    """Returns a folder name for each identity, no two alike.

    It is the identity's name, after its source's where two share it; where two are still alike,
    `_2`, `_3` and so on are added.
    """
    times = Counter(identity.name for identity in identities)
    names = (
        f"{identity.source}_{identity.name}" if times[identity.name] > 1 else identity.name
        for identity in identities
    )
    return list(_told_apart(map(_safe, names)))


def image_stems(source: ImageSource) -> list[str]:
    """Returns the path of each image without its extension: IDENTITY/NAME, no two alike.

    Sub-folders of an identity's folder stay. Where two names differ in their extension only, or a
    source calls two images the same, `_2`, `_3` and so on are added.
    """
    folders = class_folders(source.identities)
    stems = []
    for index in range(source.num_images):
        label = int(source.labels[index])
        parts = PurePosixPath(source.filename(index)).parts
        is_below = len(parts) > 1 and parts[0] == source.identities[label].name
        # Records may say nothing of where their image came from.
        inside = (parts[1:] if is_below else parts[-1:]) or (f"{index:08d}",)
        stems.append(os.path.splitext("/".join([folders[label], *map(_safe, inside)]))[0])
    return list(_told_apart(stems))


def check_output(sources: Iterable[Path], output: Path) -> None:
    """Raises InputError: `output` lies in a folder that images are read from."""
    for source in sources:
        if source.is_dir() and output.resolve().is_relative_to(source.resolve()):
            raise InputError(
                f"{output}: lies in {source}, where its files would be taken for those of a "
                "person: choose an output folder elsewhere"
            )


def _told_apart(names: Iterable[str]) -> Iterator[str]:
    """Adds `_2`, `_3` and so on to names that were there before."""
    taken: set[str] = set()
    times: Counter[str] = Counter()
    for wanted in names:
        times[wanted] += 1
        name = wanted if times[wanted] == 1 else f"{wanted}_{times[wanted]}"
        while name in taken:
            times[wanted] += 1
            name = f"{wanted}_{times[wanted]}"
        taken.add(name)
        yield name


def _safe(name: str) -> str:
    """A name that is one visible part of a path."""
    name = name.replace("/", "_").replace("\0", "_")
    return f"_{name.lstrip('.')}" if name.startswith(".") or not name else name
