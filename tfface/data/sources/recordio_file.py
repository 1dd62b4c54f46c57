"""MXNet's record files (`.rec`) and their index files (`.idx`), read without MXNet.

A record is split into parts where its bytes hold the magic number at a multiple of 4; the magic
between two parts is left out. Each part, at an offset that is a multiple of 4:

    uint32 magic       0xced7230a
    uint32 kind, size  upper 3 bits: 0 all of a record, 1 its first part, 2 a middle one, 3 its
                       last; lower 29 bits: how many bytes follow
    the bytes          and zeros up to a multiple of 4

A record's bytes are a header, which `HEADER` describes, and what it is of:

    uint32 flag        how many labels follow the header; 0: the header's own label is the only one
    float32 label
    uint64 id, id2
    float32 [flag]     the labels
    the image file's bytes

An index file has a line for each record: its key, a tab, its offset.
"""

import array
import mmap
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfface.errors import InputError
from tfface.files import os_errors, read_at
from tfface.progress import progress

MAGIC = 0xCED7230A
HEADER = struct.Struct("<IfQQ")
LABEL_BYTES = 4

_PART = struct.Struct("<II")
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_SIZE_BITS = 29
# Result of `headers`: bytes of the first part and of the whole record, and the header.
_FOUND = np.dtype(
    [
        *(("part_bytes", np.int32), ("record_bytes", np.int64)),
        *(("flag", np.uint32), ("label", np.float32), ("id", np.uint64)),
    ]
)
# Records whose headers are read together.
_CHUNK = 1 << 13
_INDEX_BLOCK_BYTES = 1 << 24
# 18 digits always fit an int64.
_INDEX_LINES = re.compile(rb"(?:[0-9]{1,18}+[\t ][0-9]{1,18}+\n)*+")
_LONGEST_INDEX_LINE = 40


class RecordIOFile:
    """One `.rec` file, held open; threads may read it at once.

    Attributes:
        path: as given.
        num_bytes: of the file.

    Raises:
        InputError: it can't be opened.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     record = HEADER.pack(0, 7.0, 1, 0) + b"encoded image..."
        ...     part = _PART.pack(MAGIC, len(record)) + record
        ...     _ = Path(folder, "train.rec").write_bytes(part)
        ...     file = RecordIOFile(Path(folder, "train.rec"))
        ...     offsets = file.find_records()
        ...     offsets.tolist(), float(file.headers(offsets)["label"][0])
        ([0], 7.0)
    """

    def __init__(self, path: Path):
        self.path = path
        with os_errors(path):
            self._file = path.open("rb", buffering=0)
            self.num_bytes = os.fstat(self._file.fileno()).st_size

    def find_records(self) -> np.ndarray:
        """Finds the offsets of all records by scanning the file: int64 [records].

        Raises:
            InputError: the file is damaged, or not a record file.
        """
        offsets = array.array("q")
        offset, inside = 0, False
        with progress(total=self.num_bytes, description="indexing", unit="bytes") as bar:
            while offset < self.num_bytes:
                kind, size = self._part_header(offset)
                if inside != (kind in (_MIDDLE, _LAST)):
                    raise self._damaged(offset, "a part of a record that doesn't follow the others")
                if not inside:
                    offsets.append(offset)
                inside = kind in (_FIRST, _MIDDLE)
                step = _PART.size + _padded(size)
                offset += step
                bar.update(step)
        if inside:
            raise self._damaged(self.num_bytes, "the file ends inside a record")
        if not offsets:
            raise InputError(f"{self.path}: holds no records")
        return np.frombuffer(offsets, np.int64)

    def headers(self, offsets: np.ndarray) -> np.ndarray:
        """Reads the headers of all records at `offsets`.

        Args:
            offsets: int64 [records], in any order.

        Returns:
            A structured array [records] of part_bytes (of the record's first part), record_bytes
            (of all of it), flag, label and id.

        Raises:
            InputError: no record begins at an offset, it isn't whole or overlaps another, or is too
                short for its header and labels.
        """
        found = np.empty(len(offsets), _FOUND)
        order = np.argsort(offsets, kind="stable")
        last_end = 0
        with progress(total=len(offsets), description="reading labels", unit="records") as bar:
            for chunk, words in self._chunks(order):
                last_end = self._read_headers(offsets[chunk], words, last_end, found, chunk)
                bar.update(len(chunk))
        return found

    def count_unlisted(self, offsets: np.ndarray, part_bytes: np.ndarray) -> int:
        """Counts the records that are not in `offsets`.

        Args:
            offsets, part_bytes: int [records], argument and result of `headers`.
        """
        order = np.argsort(offsets, kind="stable")
        ends = offsets + _PART.size + (part_bytes.astype(np.int64) + 3 & ~3)
        starts = np.concatenate([[0], ends[order]])
        stops = np.concatenate([offsets[order], [self.num_bytes]])
        count = 0
        for place in np.flatnonzero(starts < stops):
            offset, stop = int(starts[place]), int(stops[place])
            while offset + _PART.size <= stop:
                try:
                    kind, size = self._part_header(offset)
                except InputError:
                    # Unused bytes, not a record.
                    break
                # Later parts belong to the record before them.
                count += kind in (_WHOLE, _FIRST)
                offset += _PART.size + _padded(size)
        return count

    def labels(self, offsets: np.ndarray, entry: int) -> np.ndarray:
        """Reads an entry of the label lists of records, whose flags must be above `entry`.

        Args:
            offsets: int64 [records], as `headers` accepted them.

        Returns:
            float32 [records].
        """
        labels = np.empty(len(offsets), np.float32)
        start = HEADER.size + LABEL_BYTES * entry
        for chunk, words in self._chunks(np.argsort(offsets, kind="stable")):
            first = offsets[chunk] // 4
            in_one_part = words[first + 1] >> _SIZE_BITS == _WHOLE
            place = (first + (_PART.size + start) // 4)[in_one_part]
            labels[chunk[in_one_part]] = words[place].view(np.float32)
            for number in chunk[~in_one_part]:
                record = self.read(int(offsets[number]))
                labels[number] = np.frombuffer(record, "<f4", 1, start)[0]
        return labels

    def read(self, offset: int, part_bytes: int = 0) -> bytes:
        """Reads the record at `offset`: header, labels and the rest.

        Args:
            part_bytes: as `headers` returns it; saves a system call.

        Raises:
            InputError: no record begins there, or it isn't whole.
        """
        data = self._pread(_PART.size + part_bytes, offset)
        kind, size = self._part_header(offset, data)
        if kind == _WHOLE and len(data) == _PART.size + size:
            return data[_PART.size :]
        if kind not in (_WHOLE, _FIRST):
            raise self._damaged(offset, "a record's later part, not where one begins")
        parts = [self._pread(size, offset + _PART.size)]
        while kind in (_FIRST, _MIDDLE):
            offset += _PART.size + _padded(size)
            kind, size = self._part_header(offset)
            if kind not in (_MIDDLE, _LAST):
                raise self._damaged(offset, "a record begins where another isn't finished")
            parts.append(self._pread(size, offset + _PART.size))
        return MAGIC.to_bytes(4, "little").join(parts)

    def _pread(self, size: int, offset: int) -> bytes:
        try:
            data = read_at(self._file.fileno(), size, offset)
        except OSError as error:
            raise InputError(
                f"{self.path}: byte {offset}: can't be read: {error.strerror or error}"
            ) from error
        if len(data) < size:
            raise self._damaged(offset, "the file ends there")
        return data

    def _part_header(self, offset: int, data: bytes | None = None) -> tuple[int, int]:
        """Returns the kind and the size of the part at `offset`, which lies inside the file."""
        if data is None:
            data = self._pread(_PART.size, offset)
        magic, kind_and_size = _PART.unpack_from(data)
        kind, size = kind_and_size >> _SIZE_BITS, kind_and_size & (1 << _SIZE_BITS) - 1
        if magic != MAGIC or kind > _LAST:
            raise self._damaged(offset, "no record begins there")
        if offset + _PART.size + size > self.num_bytes:
            raise self._damaged(offset, "the file ends inside the record that begins there")
        return kind, size

    def _chunks(self, order: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields parts of `order` and the file's 32-bit words."""
        if not self.num_bytes:
            raise InputError(f"{self.path}: holds no records")
        # Not closed, which would fail while `words` is in use; it is freed together with it.
        mapped = mmap.mmap(self._file.fileno(), self.num_bytes, access=mmap.ACCESS_READ)
        words = np.frombuffer(mapped, "<u4", self.num_bytes // 4)
        for start in range(0, len(order), _CHUNK):
            yield order[start : start + _CHUNK], words
            # Otherwise the whole file would count as memory of this process.
            if hasattr(mapped, "madvise"):
                mapped.madvise(mmap.MADV_DONTNEED)

    def _read_headers(
        self,
        offsets: np.ndarray,
        words: np.ndarray,
        last_end: int,
        found: np.ndarray,
        places: np.ndarray,
    ) -> int:
        """Fills `found[places]` for sorted `offsets`; returns the end of the last part."""

        def check(good: np.ndarray, why: str) -> None:
            if not good.all():
                raise self._damaged(int(offsets[np.argmin(good)]), why)

        check(offsets + _PART.size <= len(words) * 4, "it lies beyond the file's end")
        check(offsets % 4 == 0, "no record begins there")
        first = offsets // 4
        check(words[first] == MAGIC, "no record begins there")
        kinds = words[first + 1] >> _SIZE_BITS
        sizes = (words[first + 1] & ((1 << _SIZE_BITS) - 1)).astype(np.int64)
        check(kinds <= _FIRST, "a record's later part, not where one begins")
        ends = offsets + _PART.size + sizes
        check(ends <= self.num_bytes, "the file ends inside the record that begins there")
        check(offsets >= np.concatenate([[last_end], ends[:-1]]), "it lies inside another record")
        whole = kinds == _WHOLE
        check(~whole | (sizes >= HEADER.size), "the record is too short for a header")

        part = np.empty(len(offsets), _FOUND)
        part["part_bytes"] = sizes
        part["record_bytes"] = sizes
        at = first[whole] + 2
        part["flag"][whole] = words[at]
        part["label"][whole] = words[at + 1].view(np.float32)
        part["id"][whole] = words[at + 2] | words[at + 3].astype(np.uint64) << np.uint64(32)
        for number in np.flatnonzero(~whole):
            record = self.read(int(offsets[number]))
            if len(record) < HEADER.size:
                raise self._damaged(int(offsets[number]), "the record is too short for a header")
            flag, label, identifier, _ = HEADER.unpack_from(record)
            part[number] = (sizes[number], len(record), flag, label, identifier)
        check(
            HEADER.size + LABEL_BYTES * part["flag"].astype(np.int64) <= part["record_bytes"],
            "the record is too short for its labels",
        )
        found[places] = part
        return int(ends[-1])

    def _damaged(self, offset: int, why: str) -> InputError:
        return InputError(f"{self.path}: byte {offset}: {why}: the file or its index is damaged")


def read_index(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads an index file.

    Returns:
        (keys, offsets), both int64 [records], sorted by key.

    Raises:
        InputError: a line is no key and offset, or two have the same key (but for an index whose
            keys are all 0, as some tools write it).
    """
    blocks, rest, line = [], b"", 1
    with os_errors(path), path.open("rb") as file:
        while block := file.read(_INDEX_BLOCK_BYTES):
            lines, newline, rest = (rest + block).rpartition(b"\n")
            blocks.append(_parse_index_lines(path, lines + newline, line))
            line += len(blocks[-1])
            if len(rest) > _LONGEST_INDEX_LINE:
                break
    if rest.strip():
        blocks.append(_parse_index_lines(path, rest + b"\n", line))
    if not sum(map(len, blocks)):
        raise InputError(f"{path}: lists no records")
    keys, offsets = np.concatenate(blocks).T
    del blocks
    if (keys[1:] < keys[:-1]).any():
        order = np.argsort(keys, kind="stable")
        keys, offsets = keys[order], offsets[order]
    twice = np.flatnonzero(keys[1:] == keys[:-1])
    if len(twice) and keys.any():
        raise InputError(f"{path}: lists key {keys[twice[0]]} twice")
    return np.ascontiguousarray(keys), np.ascontiguousarray(offsets)


def _parse_index_lines(path: Path, lines: bytes, first: int) -> np.ndarray:
    """Parses whole lines, the first of them of number `first`: int64 [lines, 2]."""
    lines = lines.replace(b"\r\n", b"\n")
    good = _INDEX_LINES.match(lines).end()
    if good < len(lines):
        number = first + lines.count(b"\n", 0, good)
        bad = lines[good : good + _LONGEST_INDEX_LINE].split(b"\n")[0].decode(errors="replace")
        raise InputError(
            f"{path}: line {number}: expected a record's key, a tab and its offset, got {bad!r}"
        )
    return np.fromstring(lines, np.int64, sep=" ").reshape(-1, 2)


def _padded(size: int) -> int:
    return size + 3 & ~3
