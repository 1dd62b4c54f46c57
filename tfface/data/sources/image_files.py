"""Sources of separate image files: untrusted paths, and links between identities or sources.

Linked files are found by device and inode, without reading them. Copies are found when images are
read anyway: in the conversion and in the inspection of a dataset.
"""

import array
import hashlib
import os
import stat
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfface.data.records.duplicates import find_duplicate_images
from tfface.data.records.example import Record, attribute_features
from tfface.data.sources.image_source import ImageSource, ordered_indices
from tfface.errors import InputError
from tfface.files import read_bytes
from tfface.names import spelled_on_disk
from tfface.paths import not_there, printable


class SafeRoot:
    """Resolves untrusted paths to files below a folder.

    Args:
        root: the folder; relative paths start there.

    Attributes:
        root: without symbolic links.

    Raises:
        InputError: the folder does not exist.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "1.jpg").write_bytes(b"")
        ...     SafeRoot(Path(folder)).find(b"1.jpg")
        b'1.jpg'
    """

    def __init__(self, root: Path):
        if not root.is_dir():
            raise InputError(not_there(root, "folder"))
        self.root = root.resolve()
        self._root = os.fsencode(self.root)
        self._prefix = os.path.join(self._root, b"")
        # Cache of resolved folders, which most files share.
        self._folders: dict[bytes, bytes] = {}

    def find(self, path: bytes) -> bytes:
        """Resolves a path.

        Args:
            path: untrusted.

        Returns:
            The path of the file relative to `root`, without symbolic links of folders.

        Raises:
            InputError: the file does not exist, or is outside of `root` by an absolute path, by
                `..` or by a link.
        """
        shown = os.fsdecode(path)
        folder, name = os.path.split(path)
        if b"\0" in path or name in (b"", b".", b".."):
            raise InputError(f"{shown!r}: is not the path of a file")
        if folder not in self._folders:
            there = os.path.join(self._root, folder)
            self._folders[folder] = os.path.realpath(_spelled_on_disk(there))
        found = os.path.join(self._folders[folder], name)
        if not path.isascii():
            found = _spelled_on_disk(found)
        # First, so that messages don't reveal whether a file outside exists.
        self._check(found, shown)
        try:
            mode = os.lstat(found).st_mode
            if stat.S_ISLNK(mode):
                self._check(os.path.realpath(found), shown)
                mode = os.stat(found).st_mode
        except OSError as error:
            raise InputError(
                f"{shown}: can't be read below {self.root}: {error.strerror or error}"
            ) from None
        if not stat.S_ISREG(mode):
            raise InputError(f"{shown}: is not a regular file")
        return found[len(self._prefix) :]

    def _check(self, found: bytes, shown: str) -> None:
        if not found.startswith(self._prefix):
            raise InputError(f"{shown}: is outside of {self.root}")


def _spelled_on_disk(path: bytes) -> bytes:
    return os.fsencode(spelled_on_disk(os.fsdecode(path)))


def links_between_identities(source: ImageSource) -> list[str]:
    """Returns a warning on files that belong to several identities of a source, if any."""
    files = _files(source)
    first, other = _linked(files, source.labels)
    if not len(first):
        return []
    names = [
        f"{source.filename(int(image))} of {source.identities[source.labels[image]].name}"
        for image in (first[0], other[0])
    ]
    return [
        printable(
            f"warning: {_count(files[other])} of several people at once, by links: for "
            f"example {names[0]} is also {names[1]}"
        )
    ]


def links_between_sources(sources: Sequence[ImageSource], names: Sequence[str]) -> list[str]:
    """Returns a warning on files that belong to several sources, if any.

    Args:
        sources: the sources.
        names: of the sources.

    Returns:
        Lines for the user.
    """
    starts = np.cumsum([0] + [source.num_images for source in sources])
    number = np.repeat(np.arange(len(sources)), np.diff(starts))
    files = np.concatenate([_files(source) for source in sources])
    first, other = _linked(files, number)
    if not len(first):
        return []
    places = [
        os.path.join(names[i], sources[i].filename(int(image - starts[i])))
        for image, i in ((image, int(number[image])) for image in (first[0], other[0]))
    ]
    return [
        printable(
            f"warning: {_count(files[other])} in several sources, by links: for example "
            f"{places[0]} is also {places[1]}"
        )
    ]


def _files(source: ImageSource) -> np.ndarray:
    """Returns device and inode of each image's file: int64 [images, 2], -1 without a file."""
    origins = source.origins(np.arange(source.num_images))
    return np.concatenate([origin.file_ids(images) for origin, images in origins])


def _linked(files: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns pairs of images in two groups that are the same file, int64 [n] each.

    For a file in n groups there are n - 1 pairs with the image of the first group.

    Args:
        files: as `_files` returns them.
        groups: int [images].
    """
    # On some network drives, all inodes are 0.
    first, other = find_duplicate_images(np.where(files[:, 1] > 0, groups, -1), files).across.T
    return first, other


def _count(files: np.ndarray) -> str:
    count = len(np.unique(files, axis=0))
    return "1 file is" if count == 1 else f"{count:,} files are"


_MOST_INT64 = 2**63 - 1


class ImageFiles(ImageSource):
    """Base class of sources whose images are separate files; they call `_set_files`."""

    @property
    def root(self) -> Path:
        """The folder of the paths of `filename`."""
        return Path(os.fsdecode(self._root))

    def _set_files(
        self, root: Path, paths: Sequence[bytes], attributes: dict[str, np.ndarray] | None = None
    ) -> None:
        """Sets the files of the images.

        Args:
            root: the folder of the paths.
            paths: of the images, as bytes of the file system.
            attributes: name -> text of each image, object [num_images].
        """
        self._root = os.fsencode(root)
        self._paths = list(paths)
        self._attributes = attributes or {}
        self.attribute_names = tuple(self._attributes)

    @cached_property
    def notes(self) -> list[str]:
        return links_between_identities(self)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of path, size and modification time of every image, and of the attributes."""
        digest = hashlib.sha256()
        for relative, (_, _, size, time) in zip(self._paths, self._stats.tolist(), strict=True):
            digest.update(b"%b\0%d\0%d\0" % (relative, size, time))
        for name, values in self._attributes.items():
            digest.update(repr((name, values.tolist())).encode())
        return digest.hexdigest()

    def file_ids(self, images: np.ndarray) -> np.ndarray:
        return self._stats[images, :2]

    @cached_property
    def _stats(self) -> np.ndarray:
        """Device, inode, size and modification time of each file: int64 [num_images, 4]."""
        stats = array.array("q")
        root = os.path.join(self._root, b"")
        for relative in self._paths:
            try:
                stat = os.stat(root + relative)
            except OSError as error:
                raise InputError(
                    f"{os.fsdecode(relative)}: can't be read: {error.strerror or error}"
                ) from error
            # Inodes and devices may have 64 bits.
            ids = stat.st_dev & _MOST_INT64, stat.st_ino & _MOST_INT64
            stats.extend((*ids, stat.st_size, stat.st_mtime_ns))
        return np.frombuffer(stats, np.int64).reshape(-1, 4)

    def filename(self, index: int) -> str:
        return os.fsdecode(self._paths[index])

    def read(self, index: int) -> Record:
        values = {name: values[index] for name, values in self._attributes.items()}
        return Record(self._read_file(index), self.filename(index), attribute_features(values))

    def _read_file(self, index: int) -> bytes:
        path = os.path.join(self._root, self._paths[index])
        try:
            return read_bytes(path)
        except OSError as error:
            raise InputError(
                f"{self.filename(index)}: can't be read: {error.strerror or error}"
            ) from error

    def encoded(
        self, indices: np.ndarray, shuffle_seed: int | None = None, first: int = 0
    ) -> tf.data.Dataset:
        # Created here, because a table created inside `read` would belong to its graph.
        root, paths = os.path.join(self._root, b""), self._path_table

        def read(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return index, tf.io.read_file(root + paths[index])

        dataset = ordered_indices(indices, shuffle_seed, first)
        return dataset.map(read, tf.data.AUTOTUNE, deterministic=True)

    @cached_property
    def _path_table(self) -> tf.Tensor:
        return tf.constant(self._paths)

    def _attribute_values(self, name: str) -> np.ndarray:
        return self._attributes[name]
