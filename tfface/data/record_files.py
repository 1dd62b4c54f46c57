"""A row of TFRecord files, read as one long list of face records."""

import os
import re
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfface.data import records
from tfface.data.records import Record
from tfface.errors import InputError
from tfface.progress import progress

# Bytes; small reads are what makes bare records slow.
READ_BUFFER = 1 << 20

# A record's frame: its length (uint64), a checksum of that (uint32), the bytes, their checksum.
_HEADER = struct.Struct("<QI")
_FOOTER_BYTES = 4


class RecordFiles:
    """Records of several files; an index counts through all of them.

    Args:
        files: in order.
        counts: how many records each file holds; None counts them.
        offsets: where in each file each of its records begins, and the last ends, int64
            [records + 1], for those who know it already; None finds it when it is needed.
    Attributes:
        files: as given.
        starts: int64 [files + 1]: the index of each file's first record, and the number of all.
    """

    def __init__(
        self,
        files: Sequence[Path],
        counts: Sequence[int] | None = None,
        offsets: Sequence[np.ndarray] | None = None,
    ):
        self.files = list(files)
        self._offsets: dict[int, np.ndarray] = dict(enumerate(offsets or ()))
        if counts is None:
            counts = [len(self._offsets_of(number)) - 1 for number in range(len(self.files))]
        self.starts = np.cumsum([0, *counts])

    def read(self, index: int) -> tuple[Record, int]:
        """Returns a record and its label.

        Raises InputError: the file is damaged there, or the record is not of a face.
        """
        number = int(np.searchsorted(self.starts, index, side="right")) - 1
        place = index - int(self.starts[number])
        start, end = self._offsets_of(number)[place : place + 2].tolist()
        with self.files[number].open("rb", buffering=0) as file:
            framed = os.pread(file.fileno(), end - start, start)
        try:
            return records.deserialize(framed[_HEADER.size : -_FOOTER_BYTES])
        except InputError as error:
            raise InputError(f"{self.files[number]}: record {place}: {error}") from None

    def images(self, indices: np.ndarray) -> Sequence[bytes]:
        """Returns the image files of some records, each read when it is asked for."""
        return _Lazy(indices, lambda index: self.read(index)[0].encoded)

    def filenames(self, indices: np.ndarray) -> Sequence[str]:
        """Returns the file names of some records, each read when it is asked for."""
        return _Lazy(indices, lambda index: self.read(index)[0].filename)

    def labels(self) -> np.ndarray:
        """Reads all records once; returns int64 [records].

        Raises InputError: a file is damaged, or holds another number of records than was said.
        """
        return self._parse_all(records.parse_labels, np.int64, "labels")

    def attribute(self, name: str) -> np.ndarray:
        """Reads all records once; returns an attribute's texts, object [records], "" where none.

        Raises InputError: as `labels`.
        """
        parsed = self._parse_all(lambda block: records.parse_attribute(block, name), object, name)
        return np.array([value.decode(errors="surrogateescape") for value in parsed], object)

    def _parse_all(self, parse, dtype, what: str) -> np.ndarray:
        """Returns what `parse` makes of each record (of batches of them), one value each."""
        values = np.empty(self.starts[-1], dtype)
        with progress(total=len(values), description=f"reading {what}", unit="images") as bar:
            for file, start, stop in zip(self.files, self.starts, self.starts[1:], strict=False):
                values[start:stop] = _parse_file(file, parse, dtype, int(stop - start))
                bar.update(int(stop - start))
        return values

    def _offsets_of(self, number: int) -> np.ndarray:
        if number not in self._offsets:
            self._offsets[number] = _find_offsets(self.files[number])
        return self._offsets[number]


class _Lazy(Sequence):
    """What `read` makes of each index, made anew whenever it is asked for."""

    def __init__(self, indices: np.ndarray, read: Callable[[int], bytes | str]):
        self._indices = indices
        self._read = read

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: int) -> bytes | str:
        return self._read(int(self._indices[place]))


def _parse_file(file: Path, parse, dtype, num_records: int) -> np.ndarray:
    dataset = tf.data.TFRecordDataset(str(file), buffer_size=READ_BUFFER).batch(1024)
    try:
        parts = list(dataset.map(parse).as_numpy_iterator())
    except tf.errors.OpError as error:
        raise InputError(f"{file}: can't be read as face records: {_plain(error)}") from error
    values = np.concatenate([np.empty(0, dtype), *parts])
    if len(values) != num_records:
        raise InputError(f"{file}: holds {len(values)} records, but should hold {num_records}")
    return values


def _plain(error: tf.errors.OpError) -> str:
    """The message without the names of graph nodes around it."""
    return re.sub(r"\{\{.*?\}\} ?| \[Op:.*", "", error.message)


def _find_offsets(file: Path) -> np.ndarray:
    """Finds where each record begins by hopping from header to header: int64 [records + 1]."""
    size = file.stat().st_size
    offsets = [0]
    with file.open("rb", buffering=0) as opened:
        handle = opened.fileno()
        while offsets[-1] < size:
            header = os.pread(handle, _HEADER.size, offsets[-1])
            end = size + 1
            if len(header) == _HEADER.size:
                end = offsets[-1] + _HEADER.size + _HEADER.unpack(header)[0] + _FOOTER_BYTES
            if end > size:
                raise InputError(
                    f"{file}: ends inside record {len(offsets) - 1}: it is damaged, or no "
                    "TFRecord file"
                )
            offsets.append(end)
    return np.array(offsets, np.int64)
