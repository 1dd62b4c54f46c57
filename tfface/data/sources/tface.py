"""TFace's TFRecord shards, with the index file that says where each image lies and whose it is."""

import re
from functools import cached_property
from pathlib import Path

import numpy as np

from tfface.data.records import example
from tfface.data.records.example import Record
from tfface.data.records.reader import RecordFiles
from tfface.data.sources.image_source import ImageSource
from tfface.data.sources.named_images import named_images
from tfface.data.sources.shards import fingerprint_of
from tfface.errors import InputError, shown
from tfface.files import is_file_name, os_errors
from tfface.progress import progress
from tfface.text_file import open_text

_ENDING = ".index"
# 18 digits always fit an int64, and five are what names of shards have.
_OFFSET, _NUMBER = re.compile(r"[0-9]{1,18}"), re.compile(r"[0-9]{1,5}")


class TFaceSource(ImageSource):
    """TFRecord shards of TFace: encoded images, and labels in an index file beside them.

    Each line of the index has four fields, separated by tabs: the name of a set, the number of a
    shard, the offset of a record in it, and a label. Shard 3 of the set TFR-MS1M is
    `TFR-MS1M/TFR-MS1M-00003.tfrecord`. Records that the index doesn't list are left out, which is
    how TFace cleans a set.

    Identities are the labels, sorted by their bytes; the images of each are sorted by shard and
    offset.

    Args:
        path: the index file.
        root: folder of the folders of shards; by default that of the index file, or the one above
            it.
        name: the source's name in `Identity.source`; by default the stem of the index file.

    Raises:
        InputError: a line isn't as said above or is there twice, a shard is missing or damaged, or
            no record begins at an offset.

    Example:
        >>> import tempfile, tensorflow as tf
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     record = tf.train.Example()
        ...     record.features.feature["image"].bytes_list.value.append(b"encoded image")
        ...     Path(folder, "a").mkdir()
        ...     shard = str(Path(folder, "a", "a-00000.tfrecord"))
        ...     with tf.io.TFRecordWriter(shard) as writer:
        ...         writer.write(record.SerializeToString())
        ...     index = Path(folder, "a.index")
        ...     _ = index.write_text("\\t".join(["a", "0", "0", "7"]))
        ...     source = TFaceSource(index)
        ...     source.identities[0].name, source.filename(0), source.read(0).encoded
        ('7', 'a-00000.tfrecord/000000000000', b'encoded image')
    """

    def __init__(self, path: Path, root: Path | None = None, *, name: str | None = None):
        self.path = path = Path(path)
        self.name = name or path.stem
        places: list[tuple[str, int, int]] = []
        labels: list[str] = []
        with os_errors(path), open_text(path) as file:
            lines = enumerate(file, start=1)
            for number, line in progress(lines, description="listing", unit="images"):
                if text := line.strip("\r\n"):
                    place, label = _fields(path, number, text)
                    places.append(place)
                    labels.append(label)
        if not places:
            raise InputError(f"{path}: lists no images")
        if len(set(places)) < len(places):
            raise InputError(f"{path}: lists a record twice")
        shards = sorted({(set_name, shard) for set_name, shard, _ in places})
        roots = [Path(root)] if root is not None else [path.parent, path.parent.parent]
        self._records = RecordFiles([_shard_file(path, roots, *shard) for shard in shards])
        number_of = {shard: number for number, shard in enumerate(shards)}
        numbers = np.array([number_of[place[:2]] for place in places], np.int64)
        offsets = np.array([offset for _, _, offset in places], np.int64)
        images = self._find(numbers, offsets)
        filenames = [
            f"{self._records.files[number].name}/{offset:012d}"
            for number, offset in zip(numbers.tolist(), offsets.tolist(), strict=True)
        ]
        folders = [set_name for set_name, _, _ in places]
        found = named_images(path, self.name, labels, filenames, folders)
        self.identities, self.labels = found.identities, found.labels
        self._filenames, self._images = found.filenames, images[found.order]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the files' names, sizes and modification times."""
        return fingerprint_of([self.path, *self._records.files], ())

    def filename(self, index: int) -> str:
        return self._filenames[index]

    def read(self, index: int) -> Record:
        encoded = self._records.read_as(example.deserialize_image, int(self._images[index]))
        return Record(encoded, self.filename(index))

    def _find(self, numbers: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Returns the indices of records, int64 [n], by the numbers of their files and offsets."""
        images = np.empty(len(offsets), np.int64)
        for number, file in enumerate(self._records.files):
            own = np.flatnonzero(numbers == number)
            # The last is the end of the file, where none begins.
            known = self._records.offsets(number)
            found = np.searchsorted(known[:-1], offsets[own])
            wrong = (found == len(known) - 1) | (known[found] != offsets[own])
            for position in own[wrong][:1]:
                raise InputError(
                    f"{self.path}: no record of {file.name} begins at byte {offsets[position]}: "
                    "the index is of other shards, or of a damaged one"
                )
            images[own] = self._records.starts[number] + found
        return images


def is_tface_index(path: Path) -> bool:
    """Whether `path` is in the format of `TFaceSource`."""
    return path.suffix.lower() == _ENDING and path.is_file()


def _fields(path: Path, number: int, line: str) -> tuple[tuple[str, int, int], str]:
    """Returns (set, shard, offset) and the label of a line."""
    fields = line.split("\t")
    if len(fields) == 3:
        raise InputError(
            f"{path}: line {number}: has no label: it is the list of what was packed; TFace trains "
            "by an index with a label in a fourth column"
        )
    if len(fields) != 4:
        raise InputError(
            f"{path}: line {number}: has {len(fields)} fields, and four are expected: set, number "
            "of the shard, offset, label (separated by tabs)"
        )
    name, shard, offset, label = fields
    if not is_file_name(name):
        raise InputError(f"{path}: line {number}: '{shown(name)}' is no name of a set")
    if not (_NUMBER.fullmatch(shard) and _OFFSET.fullmatch(offset)):
        raise InputError(f"{path}: line {number}: shard and offset must be whole numbers")
    return (name, int(shard), int(offset)), label


def _shard_file(path: Path, roots: list[Path], name: str, number: int) -> Path:
    files = [root / name / f"{name}-{number:05d}.tfrecord" for root in roots]
    for file in files:
        if file.is_file():
            return file
    raise InputError(
        f"{path}: its shard {files[0]} is not there: give the folder of {name} by the option root"
    )
