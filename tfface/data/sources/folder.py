"""Images in a folder with one sub-folder per identity."""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tfface.data.records.manifest import Identity
from tfface.data.sources.image_files import ImageFiles
from tfface.data.sources.level_check import check_level
from tfface.errors import InputError, warn
from tfface.images.listing import (
    EXTENSIONS,
    HEIC_EXTENSIONS,
    UNREAD_EXTENSIONS,
    extension,
    files_below,
    is_image,
    kind_of_file,
    visible_entries,
)
from tfface.images.pillow_decoder import FORMATS, HEIC_ADVICE, is_read
from tfface.names import clean_name, warn_of_case
from tfface.progress import progress

# The attribute that says in which folder below its identity's an image lies.
SUBFOLDER = "subfolder"
_MOST_NAMED = 5


class FolderSource(ImageFiles):
    """One sub-folder per identity, named as you like, with its images at any depth below it.

    Identities, and the images of each, come in the order of their names' bytes. A name is that of
    the folder, as `names.clean_name` has it; folders whose names are then the same are one
    identity. An image is what ends like one, in any case, or begins like one, whatever its name.
    Hidden files and folders, those of the system (`@eaDir`, `Thumbs.db`), and the contact sheets
    that our tools draw, are passed over, and so are files that are no images, which a warning
    counts; symbolic links are followed. No image is left out in silence: any other one directly in
    `path`, one of a format that isn't read, a link that leads nowhere, and an identity without
    images are errors. So is a folder that lies one level above that of the people (`level_check`).

    Where images lie in sub-folders of their identity's folder, the attribute `subfolder` says in
    which; of deeper ones, the uppermost. It is "" for images that lie in none.

    Args:
        path: the folder.
        name: what to call this source in `Identity.source`; by default the folder's name.
    Raises InputError: as said above; `path` is no folder, or can't be read.
    """

    def __init__(self, path: Path, *, name: str | None = None):
        path = Path(path)
        if not path.is_dir():
            raise InputError(f"{path}: no such folder")
        self.name = name or path.resolve().name
        self.identities: list[Identity] = []
        paths: list[bytes] = []
        counts = []
        others: list[bytes] = []
        folders = _identity_folders(path)
        images = {
            folder: sorted(_images_below(folder, others))
            for folder in progress(folders, description="listing", unit="identities")
        }
        check_level(path, images)
        for name, of_identity in _by_name(images).items():
            found = [
                os.path.join(os.path.basename(f), image) for f in of_identity for image in images[f]
            ]
            if not found:
                raise InputError(
                    f"{os.fsdecode(of_identity[0])}: an identity without any image ({FORMATS}): "
                    "remove the folder, or give it images"
                )
            self.identities.append(Identity(name, self.name))
            paths += found
            counts.append(len(found))
        warn_of_case((identity.name for identity in self.identities), str(path))
        _warn_of_others(path, others)
        self.labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        self._set_files(path, paths, _subfolders(paths))


def _identity_folders(path: Path) -> list[bytes]:
    folders, images = [], []
    for entry in visible_entries(os.fsencode(path)):
        _check_link(entry)
        if entry.is_dir():
            folders.append(entry.path)
        elif _is_image(entry):
            images.append(os.fsdecode(entry.name))
    if images:
        raise InputError(
            f"{path}: images lie directly in it (for example {min(images)}; {len(images)} in all), "
            "so it is not known whose they are: give each identity a folder of its own"
        )
    if not folders:
        raise InputError(f"{path}: has no sub-folders; one folder per identity is expected")
    return sorted(folders)


def _by_name(folders: Iterable[bytes]) -> dict[str, list[bytes]]:
    """Returns the folders of each identity, in the order of the names' bytes."""
    found: dict[str, list[bytes]] = {}
    for folder in folders:
        try:
            name = clean_name(os.fsdecode(os.path.basename(folder)))
        except InputError as error:
            raise InputError(f"{os.fsdecode(os.path.dirname(folder))}: {error}") from None
        found.setdefault(name, []).append(folder)
    return {name: found[name] for name in sorted(found, key=os.fsencode)}


def images_below(folder: bytes) -> list[bytes]:
    """Returns the paths, relative to `folder`, of the images in it and below it, in any order.

    Raises InputError: an image is of a format that can't be read, or a link leads nowhere or to a
        folder that it lies in.
    """
    return list(_images_below(folder, []))


def _images_below(folder: bytes, others: list[bytes]) -> Iterator[bytes]:
    """As `images_below`; paths of files that are no images are added to `others`."""
    start = len(os.path.join(folder, b""))
    for entry in files_below(folder):
        if _is_image(entry):
            yield entry.path[start:]
        else:
            others.append(entry.path)


def _subfolders(paths: list[bytes]) -> dict[str, np.ndarray]:
    """Returns the attribute of the images' paths, IDENTITY/IMAGE or IDENTITY/SUBFOLDER/.../IMAGE.

    It is left out where no image lies in a sub-folder.
    """
    # The same few texts come again and again.
    found = [
        sys.intern(os.fsdecode(parts[1])) if len(parts := path.split(b"/", 2)) == 3 else ""
        for path in paths
    ]
    return {SUBFOLDER: np.array(found, object)} if any(found) else {}


def _check_link(entry: os.DirEntry) -> None:
    """Raises InputError: a dead link. Who it led to, or what to, is not known any more."""
    if entry.is_symlink() and not os.path.exists(entry.path):
        raise InputError(f"{os.fsdecode(entry.path)}: a link that leads nowhere")


def _is_image(entry: os.DirEntry) -> bool:
    """Whether a file is an image. Raises InputError: one that isn't read here, or a dead link."""
    _check_link(entry)
    if not is_image(entry):
        return False
    if not entry.is_file():
        raise InputError(f"{os.fsdecode(entry.path)}: no regular file")
    ending = extension(entry.name)
    if ending not in EXTENSIONS:
        if ending in UNREAD_EXTENSIONS:
            kind = ending[1:]
        else:
            kind = "HEIC" if ending in HEIC_EXTENSIONS else kind_of_file(entry.path)
        if ending in UNREAD_EXTENSIONS or not is_read(kind):
            advice = HEIC_ADVICE if kind == "HEIC" else "convert it to PNG or JPEG"
            raise InputError(
                f"{os.fsdecode(entry.path)}: {kind} images can't be read: {advice}, or remove it"
            )
    return True


def _warn_of_others(path: Path, others: list[bytes]) -> None:
    if others:
        kinds = Counter(extension(os.path.basename(other)) or "no ending" for other in others)
        named = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(_MOST_NAMED))
        example = os.path.relpath(os.fsdecode(min(others)), path)
        warn(
            f"{path}: {len(others):,} files in people's folders are no images and are passed over: "
            f"{named}{', ...' if len(kinds) > _MOST_NAMED else ''} (for example {example})"
        )
