"""Names of a source's images in a folder with a sub-folder for each identity."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from tfface.data.records.manifest import Identity
from tfface.data.sources.image_source import ImageSource


def class_folders(identities: Sequence[Identity]) -> list[str]:
    """Returns a unique folder name for each identity.

    It is the identity's name, prefixed by its source if two have the same name; if names are still
    equal, `_2`, `_3` and so on are added.

    Args:
        identities: the identities.

    Returns:
        The names.
    """
    times = Counter(identity.name for identity in identities)
    names = (
        f"{identity.source}_{identity.name}" if times[identity.name] > 1 else identity.name
        for identity in identities
    )
    return list(_made_unique(map(_safe, names)))


def image_stems(source: ImageSource) -> list[str]:
    """Returns a unique path of each image without extension: IDENTITY/NAME.

    Sub-folders of an identity's folder are kept. If two names differ only in their extension, or
    are equal, `_2`, `_3` and so on are added.

    Args:
        source: the images.

    Returns:
        The paths.
    """
    folders = class_folders(source.identities)
    stems = []
    for index in range(source.num_images):
        label = int(source.labels[index])
        parts = PurePosixPath(source.filename(index)).parts
        is_below = len(parts) > 1 and parts[0] == source.identities[label].name
        # Records may have no file name.
        inside = (parts[1:] if is_below else parts[-1:]) or (f"{index:08d}",)
        stems.append(os.path.splitext("/".join([folders[label], *map(_safe, inside)]))[0])
    return list(_made_unique(stems))


def _made_unique(names: Iterable[str]) -> Iterator[str]:
    """Adds `_2`, `_3` and so on to repeated names."""
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
    """Returns the name as a single visible part of a path."""
    name = name.replace("/", "_").replace("\0", "_")
    return f"_{name.lstrip('.')}" if name.startswith(".") or not name else name
