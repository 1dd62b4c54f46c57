"""What sources of single image files share."""

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfface.data.records.example import Record, attribute_features
from tfface.data.sources.image_source import ImageSource, ordered_indices
from tfface.data.sources.same_files import of_two_people
from tfface.errors import InputError

_MOST_INT64 = 2**63 - 1


class ImageFiles(ImageSource):
    """Base of sources whose images are files of their own; they call `_set_files`."""

    @property
    def root(self) -> Path:
        """The folder that `filename` starts at."""
        return Path(os.fsdecode(self._root))

    def _set_files(
        self, root: Path, paths: Sequence[bytes], attributes: dict[str, np.ndarray] | None = None
    ) -> None:
        """Says which files the images are.

        Args:
            root: where the paths start.
            paths: of each image, as the file system spells it.
            attributes: name -> text of each image, object [num_images].
        """
        self._root = os.fsencode(root)
        self._paths = list(paths)
        self._attributes = attributes or {}
        self.attribute_names = tuple(self._attributes)

    @cached_property
    def notes(self) -> list[str]:
        return of_two_people(self)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of every image's path, size and time of change, and of its attributes."""
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
        """Device, inode, size and time of change of each image's file: int64 [num_images, 4]."""
        stats = np.empty((len(self._paths), 4), np.int64)
        for index, relative in enumerate(self._paths):
            try:
                stat = os.stat(os.path.join(self._root, relative))
            except OSError as error:
                raise InputError(
                    f"{os.fsdecode(relative)}: can't be read: {error.strerror or error}"
                ) from error
            # Inodes and devices may have 64 bits.
            ids = stat.st_dev & _MOST_INT64, stat.st_ino & _MOST_INT64
            stats[index] = *ids, stat.st_size, stat.st_mtime_ns
        return stats

    def filename(self, index: int) -> str:
        return os.fsdecode(self._paths[index])

    def read(self, index: int) -> Record:
        values = {name: values[index] for name, values in self._attributes.items()}
        return Record(self._read_file(index), self.filename(index), attribute_features(values))

    def _read_file(self, index: int) -> bytes:
        path = os.path.join(self._root, self._paths[index])
        try:
            with open(path, "rb", buffering=0) as file:
                return file.read()
        except OSError as error:
            raise InputError(
                f"{self.filename(index)}: can't be read: {error.strerror or error}"
            ) from error

    def encoded(
        self, indices: np.ndarray, shuffle_seed: int | None = None, first: int = 0
    ) -> tf.data.Dataset:
        # Fetched out here: made inside `read` the table would belong to the graph of that.
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
