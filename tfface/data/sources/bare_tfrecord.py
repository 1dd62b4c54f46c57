"""Record files without a dataset.json, as arcface-tf2 writes them: to be converted."""

import hashlib
from functools import cached_property
from pathlib import Path

import numpy as np

from tfface.data.dataset_folder import Identity
from tfface.data.record_files import RecordFiles
from tfface.data.records import Record
from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError


class BareTFRecordSource(ImageSource):
    """One `.tfrecord` file, or all of a folder in the order of their names.

    The identities are the labels found, which may have gaps; a label is its identity's name.

    Args:
        path: the file or the folder.
        name: what to call this source in `Identity.source`; by default the path's stem.
    Raises InputError: no such files, or one is damaged or holds other records.
    """

    def __init__(self, path: Path, *, name: str | None = None):
        path = Path(path)
        files = sorted(path.glob("*.tfrecord")) if path.is_dir() else [path]
        if not files or not all(file.is_file() for file in files):
            raise InputError(f"{path}: no .tfrecord file, nor a folder of them")
        self.name = name or path.resolve().stem
        self._records = RecordFiles(files)
        found, labels = np.unique(self._records.labels(), return_inverse=True)
        self.identities = [Identity(str(label), self.name) for label in found]
        self.labels = labels.astype(np.int32)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the files' names, sizes and times of change."""
        stats = [(file.name, file.stat()) for file in self._records.files]
        content = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
        return hashlib.sha256(repr(content).encode()).hexdigest()

    def filename(self, index: int) -> str:
        return self.read(index).filename

    def read(self, index: int) -> Record:
        return self._records.read(index)[0]
