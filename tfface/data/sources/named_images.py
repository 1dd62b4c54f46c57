"""Images that files hold together with the names of their identities, in the order of a folder."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfface.data.records.manifest import Identity
from tfface.errors import InputError, shown
from tfface.names import clean_name, warn_of_case


class NamedImages(NamedTuple):
    """The images of a source, in its order.

    Attributes:
        identities: position = label.
        labels: int32 [images].
        filenames: names of the images, all different.
        order: int64 [images]: positions in what was given.
    """

    identities: list[Identity]
    labels: np.ndarray
    filenames: list[str]
    order: np.ndarray


def named_images(
    path: Path,
    source: str,
    names: Sequence[str],
    filenames: Sequence[str],
    files: Sequence[str],
) -> NamedImages:
    """Sorts images by identity and name, as in a folder with a sub-folder for each identity.

    Identities are sorted by the bytes of their names.

    Args:
        path: of the source, for messages.
        source: becomes `Identity.source`.
        names: of the identity of each image, not normalized.
        filenames: of the images. Those without a folder get the identity's name before them; where
            two are the same then, all have the file's name instead.
        files: name of the file that holds each image.

    Raises:
        InputError: a name is not one of an identity, or two images of a file have one name.

    Example:
        >>> files = ["a.tar", "a.tar", "b.tar"]
        >>> found = named_images(Path("a"), "a", ["bob", "ann", "ann"], ["1", "2", "1"], files)
        >>> [identity.name for identity in found.identities], found.filenames
        (['ann', 'bob'], ['ann/1', 'ann/2', 'bob/1'])
    """
    cleaned: dict[str, str] = {}
    for given, filename in zip(names, filenames, strict=True):
        if given not in cleaned:
            try:
                cleaned[given] = clean_name(given)
            except InputError as error:
                raise InputError(f"{path}: {shown(filename)}: {error}") from None
    known = sorted(set(cleaned.values()), key=os.fsencode)
    warn_of_case(known, str(path))
    label_of = {name: label for label, name in enumerate(known)}
    labels = np.array([label_of[cleaned[name]] for name in names], np.int32)
    distinct = _distinct(path, filenames, [known[label] for label in labels], files)
    order = np.array(
        sorted(range(len(labels)), key=lambda i: (labels[i], os.fsencode(distinct[i]))), np.int64
    )
    return NamedImages(
        [Identity(name, source) for name in known],
        labels[order],
        [distinct[i] for i in order.tolist()],
        order,
    )


def _distinct(
    path: Path, filenames: Sequence[str], names: Sequence[str], files: Sequence[str]
) -> Sequence[str]:
    """Returns names of images that are all different."""
    in_files = [f"{file}/{name}" for file, name in zip(files, filenames, strict=True)]
    in_folders = [
        name if "/" in name else f"{person}/{name}"
        for person, name in zip(names, filenames, strict=True)
    ]
    for candidates in (in_folders, in_files):
        if len(set(candidates)) == len(candidates):
            return candidates
    [(twice, _)] = Counter(in_files).most_common(1)
    raise InputError(f"{path}: two images are called {shown(twice)}")
