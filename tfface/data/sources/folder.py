"""A folder of images with a sub-folder for each identity."""

import os
import sys
from pathlib import Path

import numpy as np

from tfface.data.records.manifest import Identity
from tfface.data.sources.image_files import ImageFiles
from tfface.images.people_folder import list_people
from tfface.names import warn_of_case

# The attribute with the name of an image's folder below that of its identity.
SUBFOLDER = "subfolder"


class FolderSource(ImageFiles):
    """A folder with a sub-folder for each identity, which contains its images at any depth.

    Identities, and the images of each, are sorted by the bytes of their names. The name of an
    identity is that of the folder, normalized by `names.clean_name`; folders with equal names are
    one identity. Images are recognized by their suffix or by their content. Hidden files and
    folders, those of the system (`@eaDir`, `Thumbs.db`) and contact sheets of tools are ignored;
    other files are ignored with a warning. Symbolic links are followed. No image is ignored
    silently: an image directly in `path`, an unsupported format, a dead link, and an identity
    without images are errors, and so is a folder one level above the identities.

    If images are in sub-folders of an identity's folder, the attribute `subfolder` has the name of
    the uppermost one, or "".

    Args:
        path: the folder.
        name: the source's name in `Identity.source`; by default the name of the folder.

    Raises:
        InputError: as said above; `path` is no folder, or can't be read.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("ann", "bob"):
        ...         Path(folder, name).mkdir()
        ...         Image.new("RGB", (32, 32)).save(Path(folder, name, "1.png"))
        ...     source = FolderSource(Path(folder))
        >>> [identity.name for identity in source.identities], source.filename(1)
        (['ann', 'bob'], 'bob/1.png')
    """

    def __init__(self, path: Path, *, name: str | None = None):
        path = Path(path)
        images = list_people(path)
        self.name = name or path.resolve().name
        self.identities: list[Identity] = [Identity(person, self.name) for person in images]
        warn_of_case(images, str(path))
        paths = [path for of_person in images.values() for path in of_person]
        counts = [len(of_person) for of_person in images.values()]
        self.labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        self._set_files(path, paths, _subfolders(paths))


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
