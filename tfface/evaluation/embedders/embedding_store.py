"""Embeddings on disk, found by a key: what lets an embedder keep what it has computed.

A store is a folder of chunks, each written once, whole, and never changed:

    magic, number of rows, floats of a row, CRC-32 of those     HEADER
    keys          16 bytes each, rising
    checks        uint32 each: CRC-32 of the row's key and embedding
    embeddings    float32 [rows, floats]

A process that is killed leaves the chunks that were there, and at most a hidden file of another
name. When eight chunks have about one size they are merged into one of the next size, so that even
millions of embeddings lie in a few dozen chunks. Several processes may use a store at once: each
adds chunks of its own and sees those that were there when it opened the store. When two merge the
same chunks, rows are stored twice until the next merge.
"""

import os
import secrets
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tfface.errors import InputError
from tfface.files import check_writable, replacing

KEY_BYTES = 16

_MAGIC = b"tfface-embeddings-1\n"
_HEADER = struct.Struct(f"<{len(_MAGIC)}sQI")
_CHECKED_HEADER = struct.Struct(f"<{_HEADER.size}sI")
_SUFFIX = ".chunk"
# So many chunks of about one size are merged into one of the next; what "about" means is the same
# number.
_MERGED = 8
# Rows that are copied at a time.
_BLOCK = 4096
_LEFTOVER_SECONDS = 24 * 3600


@dataclass(frozen=True)
class _Chunk:
    """An open chunk; its embeddings stay on disk.

    Attributes:
        keys: S16 [rows], rising.
        checks: uint32 [rows].
        embeddings: float32 [rows, floats], mapped.
    """

    path: Path
    keys: np.ndarray
    checks: np.ndarray
    embeddings: np.ndarray

    @property
    def size_class(self) -> int:
        return int(np.log(len(self.keys)) / np.log(_MERGED) + 1e-9)


class _DamagedError(Exception):
    """A chunk is not what was written."""


class EmbeddingStore:
    """Embeddings by keys of 16 bytes.

    In memory are the keys, 20 bytes for each embedding; embeddings are mapped from the files. A
    damaged chunk (cut off, or a row that is not what was written) is removed, which `say` is told:
    what was in it is not found any more, and wrong embeddings never are.

    Args:
        folder: of the store; made if need be.
        say: is given a line when a damaged chunk is removed.
    Raises InputError: the folder can't be made, read or written.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]):
        self._folder = folder
        self._say = say
        check_writable(folder / f"new{_SUFFIX}")
        self._remove_leftovers()
        self._chunks = self._open_all()

    def __len__(self) -> int:
        return sum(len(chunk.keys) for chunk in self._chunks)

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Looks embeddings up.

        Args:
            keys: S16 [n].
        Returns: bool [n], which are in the store; and their embeddings in that order, float32
            [number of those, floats].
        """
        places = [None] * len(keys)
        for chunk in list(self._chunks):
            left = np.flatnonzero([place is None for place in places])
            rows = np.searchsorted(chunk.keys, keys[left])
            rows[rows == len(chunk.keys)] = 0
            there = chunk.keys[rows] == keys[left]
            try:
                found = [_read(chunk, row) for row in rows[there].tolist()]
            except _DamagedError:
                self._drop(chunk)
                continue
            for place, embedding in zip(left[there].tolist(), found, strict=True):
                places[place] = embedding
        known = np.array([place is not None for place in places], bool)
        found = [place for place in places if place is not None]
        return known, np.array(found, np.float32).reshape(len(found), -1 if found else 0)

    def add(self, keys: np.ndarray, embeddings: np.ndarray) -> None:
        """Stores embeddings; when it returns, they are in the file system.

        Args:
            keys: S16 [n], n > 0, all different.
            embeddings: [n, floats].
        Raises InputError: the chunk can't be written.
        """
        order = np.argsort(keys)
        keys, embeddings = keys[order], np.asarray(embeddings, np.float32)[order]
        checks = np.array(
            [_check(key, row) for key, row in zip(_bytes(keys), embeddings, strict=True)], np.uint32
        )
        self._chunks.append(self._write(keys, checks, embeddings.shape[1], [embeddings]))
        while alike := self._alike():
            self._merge(alike)

    def _open_all(self) -> list[_Chunk]:
        # Another process may merge chunks while they are opened: those are in a new one then.
        while True:
            chunks, is_complete = [], True
            for path in sorted(self._folder.glob(f"[!.]*{_SUFFIX}")):
                try:
                    chunks.append(_open(path))
                except FileNotFoundError:
                    is_complete = False
                except _DamagedError:
                    self._remove(path)
                except OSError as error:
                    raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
            if is_complete:
                return chunks

    def _drop(self, chunk: _Chunk) -> None:
        self._chunks.remove(chunk)
        self._remove(chunk.path)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._say(f"{path}: was damaged, and is removed; its embeddings are computed again")

    def _alike(self) -> list[_Chunk]:
        """Returns chunks of one size class when there are enough of them to be merged."""
        by_class: dict[int, list[_Chunk]] = {}
        for chunk in self._chunks:
            by_class.setdefault(chunk.size_class, []).append(chunk)
        return next((alike for alike in by_class.values() if len(alike) >= _MERGED), [])

    def _merge(self, chunks: Sequence[_Chunk]) -> None:
        damaged = [chunk for chunk in chunks if not _is_sound(chunk)]
        for chunk in damaged:
            self._drop(chunk)
        if damaged:
            return
        keys = np.concatenate([chunk.keys for chunk in chunks])
        checks = np.concatenate([chunk.checks for chunk in chunks])
        order = np.argsort(keys, kind="stable")
        order = order[np.append(True, keys[order][1:] != keys[order][:-1])]
        floats = chunks[0].embeddings.shape[1]
        blocks = _gather([chunk.embeddings for chunk in chunks], order)
        merged = self._write(keys[order], checks[order], floats, blocks, keep=True)
        self._chunks = [chunk for chunk in self._chunks if chunk not in chunks] + [merged]
        for chunk in chunks:
            chunk.path.unlink(missing_ok=True)

    def _write(
        self,
        keys: np.ndarray,
        checks: np.ndarray,
        floats: int,
        blocks: Iterable[np.ndarray],
        keep: bool = False,
    ) -> _Chunk:
        """Writes a chunk; with `keep`, waits until it would outlive a loss of power."""
        path = self._folder / f"{secrets.token_hex(8)}{_SUFFIX}"
        with replacing(path) as temporary, temporary.open("wb") as file:
            header = _HEADER.pack(_MAGIC, len(keys), floats)
            file.write(_CHECKED_HEADER.pack(header, zlib.crc32(header)))
            file.write(keys.tobytes())
            file.write(checks.tobytes())
            for block in blocks:
                file.write(np.ascontiguousarray(block, np.float32).tobytes())
            file.flush()
            if keep:
                os.fsync(file.fileno())
            # As soon as it has its name, another process may merge and remove it.
            chunk = replace(_open(temporary), path=path)
        return chunk

    def _remove_leftovers(self) -> None:
        """Removes what processes left that were killed while they wrote; never what one writes."""
        for path in self._folder.glob(f".*{_SUFFIX}"):
            try:
                if time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
                    path.unlink()
            except FileNotFoundError:
                continue


def _open(path: Path) -> _Chunk:
    with path.open("rb") as file:
        start = file.read(_CHECKED_HEADER.size)
        if len(start) < _CHECKED_HEADER.size:
            raise _DamagedError
        header, check = _CHECKED_HEADER.unpack(start)
        magic, rows, floats = _HEADER.unpack(header)
        if zlib.crc32(header) != check or magic != _MAGIC or not rows * floats:
            raise _DamagedError
        vectors_at = len(start) + rows * (KEY_BYTES + 4)
        if os.fstat(file.fileno()).st_size != vectors_at + rows * floats * 4:
            raise _DamagedError
        keys = np.frombuffer(file.read(rows * KEY_BYTES), f"S{KEY_BYTES}")
        checks = np.frombuffer(file.read(rows * 4), np.uint32)
        embeddings = np.memmap(file, np.float32, "r", vectors_at, (rows, floats))
    return _Chunk(path, keys, checks, embeddings)


def _gather(parts: Sequence[np.ndarray], order: np.ndarray) -> Iterator[np.ndarray]:
    """Yields rows of all parts, counted through, in blocks."""
    starts = np.cumsum([0, *map(len, parts)])
    for start in range(0, len(order), _BLOCK):
        rows = order[start : start + _BLOCK]
        block = np.empty((len(rows), parts[0].shape[1]), np.float32)
        part_of = np.searchsorted(starts, rows, side="right") - 1
        for number, part in enumerate(parts):
            block[part_of == number] = part[rows[part_of == number] - starts[number]]
        yield block


def _is_sound(chunk: _Chunk) -> bool:
    return all(
        _check(key, embedding) == check
        for key, embedding, check in zip(
            _bytes(chunk.keys), chunk.embeddings, chunk.checks.tolist(), strict=True
        )
    )


def _read(chunk: _Chunk, row: int) -> np.ndarray:
    embedding = np.array(chunk.embeddings[row])
    if _check(_bytes(chunk.keys[row : row + 1])[0], embedding) != chunk.checks[row]:
        raise _DamagedError
    return embedding


def _bytes(keys: np.ndarray) -> list[bytes]:
    """NumPy's own bytes of a key lack the zeros at its end."""
    whole = keys.tobytes()
    return [whole[start : start + KEY_BYTES] for start in range(0, len(whole), KEY_BYTES)]


def _check(key: bytes, embedding: np.ndarray) -> int:
    return zlib.crc32(embedding.tobytes(), zlib.crc32(key))
