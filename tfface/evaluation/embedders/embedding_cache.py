"""An embedder that keeps what it has computed, in one SQLite file for each model."""

import hashlib
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfface.errors import InputError
from tfface.files import check_writable, os_errors

if TYPE_CHECKING:
    from tfface.evaluation.embedders.embedder import Embedder

KEY_BYTES = 16

_NAME = "embeddings.sqlite"
# What tfface 0.1 wrote.
_OLD_SUFFIX = ".chunk"
# Seconds that a process waits for others that write.
_TIMEOUT = 60
# What SQLite says when the file is sound and can't be read or written; all else is damage.
_NOT_DAMAGED = ("BUSY", "LOCKED", "READONLY", "IOERR", "FULL", "CANTOPEN", "PERM", "AUTH", "NOMEM")


class CachedEmbedder:
    """Embeds only images that were not embedded before by the same model in the same way.

    Embeddings lie in a folder of their own for each `fingerprint` of an embedder, each under the
    hash of the pixels it was computed from. Images that are twice in a batch are embedded once.

    Args:
        embedder: what embeds.
        folder: of all embeddings that are kept; made if need be. It may be removed at any time, or
            one of the folders in it, when no process uses it.
        say: is given a line when damaged files or rows are found; see `EmbeddingStore`.

    Attributes: as `Embedder` has them, and
        inner: the embedder.

    Raises:
        InputError: the folder can't be made, read or written.

    Example:
        >>> import tempfile
        >>> from tfface.evaluation.embedders.embedder import load_embedder
        >>> images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     embedder = CachedEmbedder(load_embedder("pixels"), Path(folder), print)
        ...     first, again = embedder.embed(images), embedder.embed(images)
        >>> bool((first == again).all())
        True
    """

    def __init__(self, embedder: "Embedder", folder: Path, say: Callable[[str], None]):
        self.inner = embedder
        self.name = embedder.name
        self.image_size = embedder.image_size
        self.keeps_aspect = embedder.keeps_aspect
        self.batch_size = embedder.batch_size
        self.fingerprint = embedder.fingerprint
        self._folder = folder
        self._say = say
        self._store = EmbeddingStore(folder / self.fingerprint, say)

    @property
    def settle(self) -> Callable[[str], None] | None:
        """See `Embedder`."""
        settle = self.inner.settle
        if settle is None:
            return None

        def settle_and_look(wanted: str) -> None:
            settle(wanted)
            self._is_changed()

        return settle_and_look

    def around(self, embedder: "Embedder") -> "CachedEmbedder":
        """Returns another embedder that keeps its embeddings in the same place."""
        return CachedEmbedder(embedder, self._folder, self._say)

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Returns what the embedder returns: float32 [n, embedding_size].

        Args:
            images: uint8 [n, height, width, 3], RGB.

        Raises:
            InputError: what is new can't be written.
        """
        hashes = [
            hashlib.blake2b(image, digest_size=KEY_BYTES).digest()
            for image in np.ascontiguousarray(images)
        ]
        keys, places, inverse = np.unique(
            np.array(hashes, f"S{KEY_BYTES}"), return_index=True, return_inverse=True
        )
        known, found = self._store.find(keys)
        if not known.all():
            may_change = self.inner.settle is not None
            new = self.inner.embed(images[places[~known]])
            if may_change and self._is_changed():
                # What was found is of the other precision.
                self._store.add(keys[~known], new)
                return self.embed(images)
            self._store.add(keys[~known], new)
            both = np.empty((len(keys), new.shape[1]), np.float32)
            both[~known] = new
            if known.any():
                both[known] = found
            found = both
        return found[inverse]

    def _is_changed(self) -> bool:
        """Whether the embedder makes other embeddings from now on; opens their store then."""
        if self.inner.fingerprint == self.fingerprint:
            return False
        self.fingerprint = self.inner.fingerprint
        self._store = EmbeddingStore(self._folder / self.fingerprint, self._say)
        return True


class EmbeddingStore:
    """Embeddings on disk, found by keys of 16 bytes.

    A folder with an SQLite file; several processes may use it at once. Each row has a checksum of
    key and embedding: a damaged row is removed, and a file that SQLite finds damaged, or that is
    none of SQLite's, is renamed and a new one begun; `say` reports both. So embeddings may have to
    be recomputed, and wrong ones are never found.

    Files of the format before (`*.chunk`, tfface 0.1) are neither read nor removed; `say` reports
    them.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = EmbeddingStore(Path(folder), print)
        ...     store.add(np.array([b"a", b"b"], "S16"), np.eye(2))
        ...     store.find(np.array([b"b", b"c"], "S16"))
        (array([ True, False]), array([[0., 1.]], dtype=float32))

    Args:
        folder: of the store; made if need be.
        say: is given a line when something damaged is found.

    Raises:
        InputError: the folder can't be made, read or written.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]):
        self._path = folder / _NAME
        self._say = say
        check_writable(self._path)
        if any(folder.glob(f"*{_OLD_SUFFIX}")):
            say(
                f"{folder}: its *{_OLD_SUFFIX} files were written by tfface 0.1 and are not read: "
                "embeddings are recomputed, and you may delete these files"
            )
        try:
            self._open()
        except _DamagedError:
            self._begin_again()

    def __len__(self) -> int:
        with self._transaction() as database:
            return database.execute("SELECT count(*) FROM embeddings").fetchone()[0]

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Looks embeddings up.

        Args:
            keys: S16 [n].

        Returns:
            bool [n], which are in the store; and their embeddings in that order, float32 [number of
            those, floats].

        Raises:
            InputError: the file can't be read.
        """
        try:
            found = self._read(_bytes(keys))
        except _DamagedError:
            self._begin_again()
            found = [None] * len(keys)
        known = np.array([embedding is not None for embedding in found], bool)
        rows = [np.frombuffer(embedding, "<f4") for embedding in found if embedding is not None]
        return known, np.array(rows, np.float32).reshape(len(rows), -1 if rows else 0)

    def add(self, keys: np.ndarray, embeddings: np.ndarray) -> None:
        """Stores embeddings; when it returns, they are in the file system.

        Args:
            keys: S16 [n], all different.
            embeddings: [n, floats].

        Raises:
            InputError: the file can't be written.
        """
        rows = [
            (key, _checksum(key, embedding), embedding)
            for key, embedding in zip(
                _bytes(keys), map(bytes, np.asarray(embeddings, "<f4")), strict=True
            )
        ]
        try:
            self._write(rows)
        except _DamagedError:
            self._begin_again()
            self._write(rows)

    def _open(self) -> None:
        with self._errors():
            self._database = sqlite3.connect(
                self._path, timeout=_TIMEOUT, isolation_level=None, check_same_thread=False
            )
            # A killed process leaves the file whole. After a loss of power it may be damaged, which
            # is noticed, and costs less than to wait for the disk at every batch.
            self._database.execute("PRAGMA synchronous = OFF")
            # For a new file. Of 512 floats, one row fits a usual page of 4 KiB, and seven fit this.
            self._database.execute("PRAGMA page_size = 16384")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS embeddings "
                "(key BLOB PRIMARY KEY, checksum INTEGER NOT NULL, embedding BLOB NOT NULL)"
            )

    def _begin_again(self) -> None:
        """Renames the file, and begins a new one."""
        self._database.close()
        number = 1
        while (damaged := self._path.with_name(f"{_NAME}.damaged-{number}")).exists():
            number += 1
        with os_errors(self._path, "renamed"):
            self._path.rename(damaged)
            # What a killed process left beside it would be taken for a part of the new one.
            for suffix in ("-journal", "-wal", "-shm"):
                self._path.with_name(_NAME + suffix).unlink(missing_ok=True)
        self._say(
            f"{self._path}: was damaged, and is renamed to {damaged.name}; its embeddings are "
            "recomputed"
        )
        self._open()

    def _read(self, keys: list[bytes]) -> list[bytes | None]:
        found: list[bytes | None] = []
        damaged = []
        with self._transaction() as database:
            for key in keys:
                row = database.execute(
                    "SELECT checksum, embedding FROM embeddings WHERE key = ?", (key,)
                ).fetchone()
                # In a damaged file, any column may be of any type.
                if row and not (isinstance(row[1], bytes) and row[0] == _checksum(key, row[1])):
                    damaged.append((key,))
                    row = None
                found.append(row and row[1])
        if damaged:
            with self._transaction("IMMEDIATE") as database:
                database.executemany("DELETE FROM embeddings WHERE key = ?", damaged)
            self._say(
                f"{self._path}: {len(damaged)} embeddings were damaged, and are removed and "
                "recomputed"
            )
        return found

    def _write(self, rows: list[tuple[bytes, int, bytes]]) -> None:
        with self._transaction("IMMEDIATE") as database:
            database.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)", rows)

    @contextmanager
    def _transaction(self, kind: str = "DEFERRED") -> Iterator[sqlite3.Connection]:
        with self._errors():
            self._database.execute(f"BEGIN {kind}")
            with self._database:
                yield self._database

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        # What it quotes of a damaged file may be no text.
        except UnicodeDecodeError as error:
            raise _DamagedError from error
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "")
            if name.removeprefix("SQLITE_").startswith(_NOT_DAMAGED):
                raise InputError(f"{self._path}: can't be used: {error}") from error
            raise _DamagedError from error


class _DamagedError(Exception):
    """The file is not what was written."""


def _bytes(keys: np.ndarray) -> list[bytes]:
    """NumPy's own bytes of a key lack the zeros at its end."""
    whole = keys.tobytes()
    return [whole[start : start + KEY_BYTES] for start in range(0, len(whole), KEY_BYTES)]


def _checksum(key: bytes, embedding: bytes) -> int:
    return zlib.crc32(embedding, zlib.crc32(key))
