"""Record files without a dataset.json, as arcface-tf2 writes them: with images, or their paths."""

import hashlib
import re
from functools import cached_property
from pathlib import Path

import numpy as np

from tfface.data.records import example
from tfface.data.records.example import Record
from tfface.data.records.manifest import Identity
from tfface.data.records.reader import RecordFiles
from tfface.data.sources.image_files import ImageFiles
from tfface.data.sources.image_source import ImageSource
from tfface.data.sources.safe_paths import Below
from tfface.errors import InputError
from tfface.progress import progress

# NAME.tfrecord, .tfrecords or .tfrec; or a part of several, such as train-00000-of-00012.
_RECORD_FILE = re.compile(
    r"(\.tfrec(ords?)?|-[0-9]{5}-of-[0-9]{5}(\.tfrec(ords?)?)?)(\.gz)?$", re.IGNORECASE
)


class BareTFRecordSource(ImageSource):
    """Records that hold the images.

    The identities are the labels found, which may have gaps; a label is its identity's name.

    Args:
        path: one `.tfrecord` file, or a folder of them (or of `.tfrecords`, `.tfrec`, or parts such
            as `train-00000-of-00012`), taken in the order of their names.
        name: what to call this source in `Identity.source`; by default the path's stem.
        files: those of `path`, when they have been opened already.
    Raises InputError: no such files, or one is damaged, or they hold no or other records.
    """

    def __init__(self, path: Path, *, name: str | None = None, files: RecordFiles | None = None):
        self.name = name or Path(path).resolve().stem
        self._records = files or open_files(Path(path))
        self.record_files = tuple(self._records.files)
        labels = self._records.labels()
        self.identities, self.labels = _identities(labels, self.name)

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


class TFRecordPathsSource(ImageFiles):
    """Records that hold the paths of images. Identities are as in `BareTFRecordSource`.

    Args:
        path, name, files: as there.
        image_root: the folder where the paths start, which none may leave; by default that of the
            record files.
    Raises InputError: as there; an image isn't there, or lies outside of `image_root`.
    """

    def __init__(
        self,
        path: Path,
        image_root: Path | None = None,
        *,
        name: str | None = None,
        files: RecordFiles | None = None,
    ):
        path = Path(path)
        self.name = name or path.resolve().stem
        self._records = files or open_files(path)
        paths = self._records.paths()
        labels = self._records.labels(example.deserialize_path)
        self.identities, self.labels = _identities(labels, self.name)
        below = Below(image_root if image_root is not None else self._records.files[0].parent)
        found = []
        for index, given in enumerate(progress(paths, description="listing", unit="images")):
            try:
                found.append(below.find(given))
            except InputError as error:
                raise InputError(
                    f"{self._records.place(index)}: {error}: paths start at the option 'images', "
                    "by default the folder of the record file"
                ) from None
        self._set_files(below.root, found)

    def read(self, index: int) -> Record:
        attributes = self._records.read_as(example.deserialize_path, index)[2]
        return Record(self._read_file(index), self.filename(index), attributes)


def open_files(path: Path) -> RecordFiles:
    """Opens one `.tfrecord` file, or all of a folder in the order of their names.

    Raises InputError: no such files, or one is damaged, or they hold no records.
    """
    files = record_files_in(path) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise InputError(f"{path}: no .tfrecord file, nor a folder of them")
    opened = RecordFiles(files)
    if not opened.starts[-1]:
        raise InputError(f"{path}: holds no records")
    return opened


def record_files_in(folder: Path) -> list[Path]:
    """Returns the record files of a folder, in the order of their names."""
    return sorted(
        path for path in folder.iterdir() if is_record_file(path) and not path.name.startswith(".")
    )


def is_record_file(path: Path) -> bool:
    """Whether a file is called like one of TFRecords; also a packed one, which is refused later."""
    return _RECORD_FILE.search(path.name) is not None


def _identities(labels: np.ndarray, source: str) -> tuple[list[Identity], np.ndarray]:
    """Returns the identities of labels as written, and the labels that they have here, int32."""
    found, labels = np.unique(labels, return_inverse=True)
    return [Identity(str(label), source) for label in found], labels.astype(np.int32)
