"""Images without identities."""

import os
from pathlib import Path

import numpy as np

from tfface.data.records.manifest import Identity
from tfface.data.sources.image_files import ImageFiles
from tfface.errors import InputError
from tfface.images.people_folder import images_below
from tfface.images.pillow_decoder import FORMATS
from tfface.paths import not_there


class PhotosSource(ImageFiles):
    """A folder of images at any depth, whose identities are not known or do not matter.

    For training without labels: all images belong to one identity, `unknown`. Images are sorted by
    the bytes of their paths. They are recognized as in a folder of identities.

    Args:
        path: the folder.
        name: the source's name in `Identity.source`; by default the name of the folder.

    Raises:
        InputError: `path` is no folder, contains no image, or one of an unsupported format, or a
            link that leads nowhere.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("a", "b/c"):
        ...         Path(folder, name).mkdir(parents=True)
        ...         Image.new("RGB", (32, 32)).save(Path(folder, name, "1.png"))
        ...     source = PhotosSource(Path(folder))
        >>> source.num_identities, source.filename(1)
        (1, 'b/c/1.png')
    """

    def __init__(self, path: Path, *, name: str | None = None):
        path = Path(path)
        if not path.is_dir():
            raise InputError(not_there(path, "folder"))
        self.name = name or path.resolve().name
        paths = sorted(images_below(os.fsencode(path)))
        if not paths:
            raise InputError(f"{path}: contains no images ({FORMATS})")
        self.identities = [Identity("unknown", self.name)]
        self.labels = np.zeros(len(paths), np.int32)
        self._set_files(path, paths)
