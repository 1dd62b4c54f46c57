"""A row of TFRecord files, read as one long list of face records."""

import array
import re
import shlex
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfface.autotune import arrays
from tfface.data.records import example
from tfface.data.records.example import Record, masked_crc
from tfface.errors import InputError
from tfface.file_kind import other_kind_of
from tfface.files import os_errors, read_at
from tfface.progress import progress

# Bytes; small reads are what makes bare records slow.
READ_BUFFER = 1 << 20

# A record's frame: its length (uint64), a checksum of that (uint32), the bytes, their checksum.
_HEADER = struct.Struct("<QI")
_FOOTER_BYTES = 4
_BATCH = 1024
# How to unpack what TensorFlow's TFRecordOptions pack.
_UNPACK = {
    "gzip": "gunzip",
    "zlib": 'python -c "import sys, zlib; '
    'sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))"',
}


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
    Raises InputError: a file can't be read, or can't hold that many records.
    """

    def __init__(
        self,
        files: Sequence[Path],
        counts: Sequence[int] | None = None,
        offsets: Sequence[np.ndarray] | None = None,
    ):
        self.files = list(files)
        self._offsets: dict[int, np.ndarray] = dict(enumerate(offsets or ()))
        self._counts = counts
        if counts is None:
            counts = [len(self._offsets_of(number)) - 1 for number in range(len(self.files))]
        # Where records begin is known only from looking at the file; a number may be anything that
        # somebody wrote, and must not decide how much memory is taken.
        for file, count in zip(self.files, counts, strict=True) if offsets is None else ():
            if count * (_HEADER.size + _FOOTER_BYTES) > _size(file):
                raise InputError(f"{file}: {count} records can't be in {_size(file)} bytes")
        self.starts = np.cumsum([0, *counts])

    def read(self, index: int) -> tuple[Record, int]:
        """Returns a record and its label.

        Raises InputError: the file is damaged there, or the record is not of a face.
        """
        return self.read_as(example.deserialize, index)

    def read_as(self, deserialize: Callable, index: int):
        """Returns what a function of `records` makes of a record's bytes.

        Raises InputError: the file is damaged there, or the record is of another kind.
        """
        number, place = self._find(index)
        start, end = self._offsets_of(number)[place : place + 2].tolist()
        try:
            with self.files[number].open("rb", buffering=0) as file:
                framed = read_at(file.fileno(), end - start, start)
            return deserialize(framed[_HEADER.size : -_FOOTER_BYTES])
        except OSError as error:
            raise InputError(
                f"{self.files[number]}: can't be read: {error.strerror or error}"
            ) from error
        except InputError as error:
            raise InputError(f"{self.place(index)}: {error}") from None

    def offsets(self, number: int) -> np.ndarray:
        """Returns where each record of a file begins, and the last ends: int64 [records + 1].

        Args:
            number: of the file.
        """
        return self._offsets_of(number)

    def place(self, index: int) -> str:
        """Returns what to call a record in an error."""
        number, place = self._find(index)
        return f"{self.files[number]}: record {place}"

    def _find(self, index: int) -> tuple[int, int]:
        """Returns the number of the file that holds a record, and the record's place in it."""
        number = int(np.searchsorted(self.starts, index, side="right")) - 1
        return number, index - int(self.starts[number])

    def images(self, indices: np.ndarray) -> Sequence[bytes]:
        """Returns the image files of some records, each read when it is asked for."""
        return LazySequence(lambda index: self.read(index)[0].encoded, indices)

    def filenames(self, indices: np.ndarray) -> Sequence[str]:
        """Returns the file names of some records, each read when it is asked for."""
        return LazySequence(lambda index: self.read(index)[0].filename, indices)

    def labels(self, deserialize: Callable = example.deserialize) -> np.ndarray:
        """Reads all records once; returns int64 [records].

        Args:
            deserialize: the function of `records` that says what is wrong with a record.
        Raises InputError: a file is damaged, holds another number of records than was said, or
            records of another kind.
        """
        return self._parse_all(example.parse_labels, np.int64, "labels", deserialize)

    def paths(self) -> np.ndarray:
        """Reads all records once; returns the images' paths, bytes, object [records].

        Raises InputError: as `labels`.
        """
        return self._parse_all(example.parse_paths, object, "paths", example.deserialize_path)

    def attribute(self, name: str) -> np.ndarray:
        """Reads all records once; returns an attribute's texts, object [records], "" where none.

        Raises InputError: as `labels`.
        """
        parsed = self._parse_all(lambda block: example.parse_attribute(block, name), object, name)
        return np.array([value.decode(errors="surrogateescape") for value in parsed], object)

    def _parse_all(
        self, parse: Callable, dtype, what: str, deserialize: Callable = example.deserialize
    ) -> np.ndarray:
        """Returns what `parse` makes of each record (of batches of them), one value each."""
        values = np.empty(self.starts[-1], dtype)
        with progress(total=len(values), description=f"reading {what}", unit="images") as bar:
            for file, start, stop in zip(self.files, self.starts, self.starts[1:], strict=False):
                filled = int(start)
                try:
                    for part in _parse_file(file, parse):
                        if filled + len(part) <= stop:
                            values[filled : filled + len(part)] = part
                        filled += len(part)
                        bar.update(len(part))
                except tf.errors.OpError as error:
                    if isinstance(error, tf.errors.InvalidArgumentError):
                        # Parsing says little about what is wrong with which record.
                        for index in range(filled, min(filled + _BATCH, int(stop))):
                            self.read_as(deserialize, index)
                    raise InputError(
                        f"{file}: can't be read as face records: {_plain(error)}"
                    ) from error
                if filled != stop:
                    raise InputError(
                        f"{file}: holds {filled - start} records, but should hold {stop - start}"
                    )
        return values

    def _offsets_of(self, number: int) -> np.ndarray:
        if number not in self._offsets:
            offsets = _find_offsets(self.files[number])
            if self._counts is not None and len(offsets) - 1 != self._counts[number]:
                raise InputError(
                    f"{self.files[number]}: holds {len(offsets) - 1} records, but should hold "
                    f"{self._counts[number]}"
                )
            self._offsets[number] = offsets
        return self._offsets[number]


class LazySequence(Sequence):
    """What a function returns for each of some indices, computed on every access.

    Example:
        >>> squares = LazySequence(lambda index: index**2, np.array([2, 5]))
        >>> len(squares), squares[1]
        (2, 25)

    Args:
        read: the function of an index.
        indices: int [n].
    """

    def __init__(self, read: Callable[[int], Any], indices: Sequence[int] | np.ndarray):
        self.read = read
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> Any:
        return self.read(int(self.indices[position]))


def _parse_file(file: Path, parse: Callable) -> Iterator[np.ndarray]:
    dataset = tf.data.TFRecordDataset(str(file), buffer_size=READ_BUFFER).batch(_BATCH)
    return arrays(dataset.map(parse))


def _plain(error: tf.errors.OpError) -> str:
    """The message without the names of graph nodes around it."""
    return re.sub(r"\{\{.*?\}\} ?| \[Op:.*", "", error.message)


def _size(file: Path) -> int:
    with os_errors(file):
        return file.stat().st_size


def _packing(file: Path) -> str | None:
    """Returns what a file is that is no TFRecord file, and what to do; None if that isn't known.

    A packed file can't be read as it is: the place of a record in it is not known.
    """
    if (packer := _packer(file)) is None:
        kind = other_kind_of(file)
        return kind and f"is {kind}"
    unpacked = file.parent / "unpacked"
    target = unpacked / file.name.removesuffix(".gz")
    quoted = [shlex.quote(str(path)) for path in (unpacked, file, target)]
    return (
        f"is packed by {packer} (TFRecordOptions): unpack it and give that file: "
        f"mkdir -p {quoted[0]} && {_UNPACK[packer]} < {quoted[1]} > {quoted[2]}"
    )


def _packer(file: Path) -> str | None:
    """Returns which of `_UNPACK` packed a file of records, by what it unpacks to."""
    with file.open("rb") as opened:
        start = opened.read(_HEADER.size << 8)
    packer = "gzip" if start.startswith(b"\x1f\x8b") else "zlib"
    try:
        # 32 more: by the stream's own header, gzip or zlib.
        header = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(start, _HEADER.size)
    except zlib.error:
        return None
    if len(header) < _HEADER.size:
        return None
    return packer if masked_crc(header[:8]) == _HEADER.unpack(header)[1] else None


def _find_offsets(file: Path) -> np.ndarray:
    """Finds where each record begins by hopping from header to header: int64 [records + 1]."""
    size = _size(file)
    offsets = array.array("q", [0])
    end = 0
    with (
        file.open("rb", buffering=0) as opened,
        progress(total=size, description=f"indexing {file.name}", unit="bytes") as bar,
    ):
        handle = opened.fileno()
        while end < size:
            start = end
            header = read_at(handle, _HEADER.size, start)
            end = size + 1
            if len(header) == _HEADER.size:
                end = start + _HEADER.size + _HEADER.unpack(header)[0] + _FOOTER_BYTES
            if end > size:
                if start == 0 and (packed := _packing(file)):
                    raise InputError(f"{file}: {packed}")
                raise InputError(
                    f"{file}: ends inside record {len(offsets) - 1}: it is damaged, or no "
                    "TFRecord file"
                )
            offsets.append(end)
            bar.update(end - start)
    return np.frombuffer(offsets, np.int64)
