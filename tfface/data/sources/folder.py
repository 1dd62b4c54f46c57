"""Images in a folder with one sub-folder per identity."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfface.data.dataset_folder import Identity
from tfface.data.images import FORMATS
from tfface.data.sources.image_files import ImageFiles, visible_entries
from tfface.errors import InputError
from tfface.progress import progress
from tfface.report.contact_sheet import CONTACT_SHEET_FILE

# The attribute that says in which folder below its identity's an image lies.
SUBFOLDER = "subfolder"
EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp"}
# Images that somebody would miss if they were passed over like a README.
_OTHER_IMAGE_EXTENSIONS = {
    *(".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pnm", ".heic", ".avif", ".jp2", ".jfif")
}


class FolderSource(ImageFiles):
    """One sub-folder per identity, named as you like, with its images at any depth below it.

    Identities, and the images of each, come in the order of their names' bytes. Images end in .jpg,
    .jpeg, .png or .bmp, in any case. Hidden files and folders, files that are no images, and the
    contact sheets that our tools draw, are passed over; symbolic links are followed. No image is
    left out in silence: any other one directly in `path`, one of another format, and an identity
    without images are errors.

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
        for folder in progress(_identity_folders(path), description="listing", unit="identities"):
            images = sorted(images_below(folder))
            if not images:
                raise InputError(
                    f"{os.fsdecode(folder)}: an identity without any image ({FORMATS}): "
                    "remove the folder, or give it images"
                )
            identity = os.path.basename(folder)
            self.identities.append(Identity(os.fsdecode(identity), self.name))
            paths += [os.path.join(identity, image) for image in images]
            counts.append(len(images))
        self.labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        self._set_files(path, paths, _subfolders(paths))


def _identity_folders(path: Path) -> list[bytes]:
    folders, images = [], []
    for entry in visible_entries(os.fsencode(path)):
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


def images_below(folder: bytes, parents: tuple[str, ...] = ()) -> Iterator[bytes]:
    """Yields the paths, relative to `folder`, of the images in it and below it, in any order.

    Args:
        parents: folders that it lies in, without links, for those who call themselves.
    Raises InputError: an image is of a format that can't be read, or a link leads nowhere or to a
        folder that it lies in.
    """
    real = os.path.realpath(folder)
    if real in parents:
        raise InputError(f"{os.fsdecode(folder)}: a link to a folder that it lies in")
    for entry in visible_entries(folder):
        if entry.is_dir():
            for image in images_below(entry.path, (*parents, real)):
                yield os.path.join(entry.name, image)
        elif _is_image(entry):
            yield entry.name


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


def _is_image(entry: os.DirEntry) -> bool:
    # It shows many people, and lies beside their images.
    if os.fsdecode(entry.name) == CONTACT_SHEET_FILE:
        return False
    extension = os.fsdecode(os.path.splitext(entry.name)[1]).lower()
    if extension in _OTHER_IMAGE_EXTENSIONS:
        raise InputError(
            f"{os.fsdecode(entry.path)}: {extension[1:]} images can't be read: convert it to "
            "PNG or JPEG, or remove it"
        )
    if extension not in EXTENSIONS:
        return False
    if not entry.is_file():
        raise InputError(f"{os.fsdecode(entry.path)}: a link that leads nowhere")
    return True
