"""Nearest-neighbor search in many embeddings: a common interface to FAISS indexes.

    flat  compares with every embedding: exact, in time linear in their number
    hnsw  follows a graph of neighbors: fast to search, slow to build, approximate
    ivf   compares with the embeddings in the nearest cells only: approximate, faster to build

Embeddings have norm 1, so cosine and squared L2 distance (2 - 2 cosine) give the same order. A
search returns cosines with either metric.
"""

import math
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np

from tfface.errors import InputError
from tfface.files import replacing
from tfface.metrics.identification import UNKNOWN
from tfface.progress import progress

METRICS = {"cosine": faiss.METRIC_INNER_PRODUCT, "l2": faiss.METRIC_L2}
_EXHAUSTIVE = {faiss.METRIC_INNER_PRODUCT: faiss.IndexFlatIP, faiss.METRIC_L2: faiss.IndexFlatL2}

# Neighbors of a node, and the length of the candidate list while the graph is built. Building time
# is proportional to the latter.
HNSW_NEIGHBORS, HNSW_CONSTRUCTION = 32, 40
# Default search effort: the candidate list of hnsw, the cells of ivf. Among a million embeddings of
# size 512, the nearest one is found in 97 and 94 of 100 searches, in at most a tenth of the time of
# flat; see results/search.csv.
EFFORTS = {"hnsw": 512, "ivf": 256}
# Training embeddings for each cell: fewer give bad cells, and more help little.
_MIN_PER_CELL, _MAX_PER_CELL = 39, 64
# Embeddings that are added in one step of the progress bar.
_BLOCK = 8192


def _flat(size: int, metric: int, expected: int) -> faiss.Index:
    return _EXHAUSTIVE[metric](size)


def _hnsw(size: int, metric: int, expected: int) -> faiss.Index:
    index = faiss.IndexHNSWFlat(size, HNSW_NEIGHBORS, metric)
    index.hnsw.efConstruction = HNSW_CONSTRUCTION
    return index


def _ivf(size: int, metric: int, expected: int) -> faiss.Index:
    cells = max(1, min(round(2 * math.sqrt(expected)), expected // _MIN_PER_CELL))
    index = faiss.IndexIVFFlat(_EXHAUSTIVE[metric](size), size, cells, metric)
    index.cp.max_points_per_centroid = _MAX_PER_CELL
    # Suppresses FAISS's warning about few embeddings: then there is a single cell.
    index.cp.min_points_per_centroid = 1
    return index


# To add a kind: write a function of embedding size, metric and expected number, and add it here.
KINDS: dict[str, Callable[[int, int, int], faiss.Index]] = {
    "flat": _flat,
    "hnsw": _hnsw,
    "ivf": _ivf,
}


class FaceIndex:
    """An index of unit embeddings, which are numbered from 0 in the order they are added.

    Args:
        kind: one of `KINDS`.
        embedding_size: > 0.
        expected: the approximate number of embeddings; it determines the number of cells of ivf.
        metric: one of `METRICS`; computed inside the index, a search returns cosines.

    Example:
        >>> index = FaceIndex.from_embeddings(np.eye(3, dtype=np.float32))
        >>> similarity, numbers = index.search(np.array([[0.0, 0.6, 0.8]], np.float32), 2)
        >>> numbers, similarity
        (array([[2, 1]]), array([[0.8, 0.6]], dtype=float32))
    """

    def __init__(self, kind: str, embedding_size: int, expected: int, metric: str = "cosine"):
        self._use(kind, metric, KINDS[kind](embedding_size, METRICS[metric], expected))

    @classmethod
    def from_embeddings(
        cls, embeddings: np.ndarray, kind: str = "flat", metric: str = "cosine"
    ) -> "FaceIndex":
        """Builds an index of given embeddings.

        Args:
            embeddings: float32 [n, embedding_size], of norm 1.
            kind, metric: as for the class.

        Returns:
            The index.
        """
        index = cls(kind, embeddings.shape[1], len(embeddings), metric)
        index.train(embeddings)
        index.add(embeddings)
        return index

    @classmethod
    def read(cls, path: Path, kind: str, metric: str = "cosine") -> "FaceIndex":
        """Reads a file that `write` wrote. Read only trusted files: FAISS does not check them.

        Args:
            path: the file.
            kind, metric: of the index in it.

        Returns:
            The index.

        Raises:
            InputError: the file can't be read, or contains an index of another kind or metric.
        """
        try:
            with path.open("rb") as file:
                found = faiss.read_index(faiss.PyCallbackIOReader(file.read))
        except OSError as error:
            raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
        except (RuntimeError, MemoryError) as error:
            raise InputError(f"{path}: not a FAISS index, or damaged") from error
        expected = KINDS[kind](found.d, METRICS[metric], found.ntotal)
        if type(found) is not type(expected) or found.metric_type != METRICS[metric]:
            raise InputError(f"{path}: index of another kind; expected {kind}, {metric}")
        index = cls.__new__(cls)
        index._use(kind, metric, found)
        return index

    def _use(self, kind: str, metric: str, index: faiss.Index) -> None:
        self.kind, self.metric, self._index = kind, metric, index
        # Not every kind of file stores it.
        self.effort = EFFORTS.get(kind)

    def __len__(self) -> int:
        return self._index.ntotal

    @property
    def embedding_size(self) -> int:
        return self._index.d

    @property
    def num_training_embeddings(self) -> int:
        """The number of embeddings that `train` can make use of."""
        return _MAX_PER_CELL * self._index.nlist if self.kind == "ivf" else 0

    @property
    def effort(self) -> int | None:
        """Search effort: the candidate list of hnsw, the searched cells of ivf; None for flat.

        A higher effort finds more and takes longer. You can set it at any time, to a number > 0.
        """
        return self._effort

    @effort.setter
    def effort(self, effort: int | None) -> None:
        self._effort = effort
        if self.kind == "hnsw":
            self._index.hnsw.efSearch = effort
        if self.kind == "ivf":
            self._effort = self._index.nprobe = min(effort, self.max_effort)

    @property
    def max_effort(self) -> int:
        """The effort from which on a search is exhaustive."""
        return self._index.nlist if self.kind == "ivf" else len(self)

    @property
    def parameters(self) -> str:
        """The parameters that determine speed and recall, as text; empty for flat."""
        if self.kind == "hnsw":
            return f"M {HNSW_NEIGHBORS}, efConstruction {HNSW_CONSTRUCTION}, efSearch {self.effort}"
        if self.kind == "ivf":
            return f"{self._index.nlist} cells, {self.effort} searched"
        return ""

    @property
    def search_width(self) -> int:
        """The number of candidates that a search returns without additional effort."""
        return self.effort if self.kind == "hnsw" else len(self)

    def train(self, sample: np.ndarray) -> None:
        """Trains the cells of ivf; must be called before embeddings are added.

        Args:
            sample: float32 [n, embedding_size] of norm 1, at least one for each cell.
        """
        if not self._index.is_trained:
            self._index.train(sample)

    def add(self, embeddings: np.ndarray) -> None:
        """Adds float32 [n, embedding_size] of norm 1; many of them with a progress bar."""
        if len(embeddings) <= _BLOCK:
            self._index.add(embeddings)
            return
        blocks = range(0, len(embeddings), _BLOCK)
        for start in progress(blocks, description=f"building {self.kind}", unit="blocks"):
            self._index.add(embeddings[start : start + _BLOCK])

    def search(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Finds the nearest embeddings of each query.

        Args:
            queries: float32 [n, embedding_size] of norm 1.
            count: > 0.

        Returns:
            Cosines, float32 [n, min(count, len)], sorted descending, and the embeddings' numbers,
            int64. Where hnsw or ivf finds fewer, -inf and `UNKNOWN`.
        """
        count = min(count, len(self))
        found, numbers = self._index.search(np.ascontiguousarray(queries), count)
        if self.metric == "l2":
            found = 1 - found / 2
        # Rounding gives slightly more than 1 for equal embeddings.
        found = np.clip(found, -1, 1)
        found[numbers == UNKNOWN] = -np.inf
        return found, numbers

    def embeddings(self) -> np.ndarray:
        """Returns all embeddings by number, float32 [len, embedding_size]."""
        if not len(self):
            return np.empty((0, self.embedding_size), np.float32)
        if self.kind == "ivf":
            self._index.make_direct_map()
        return self._index.reconstruct_n(0, len(self))

    def is_of_units(self) -> bool:
        """Whether all embeddings are finite and have norm 1, as those of a file may not."""
        for start in range(0, len(self), _BLOCK):
            block = self._index.reconstruct_n(start, min(_BLOCK, len(self) - start))
            with np.errstate(over="ignore"):
                norms = np.linalg.norm(block, axis=1)
            # NaN is not close to anything.
            if not np.allclose(norms, 1, atol=1e-3):
                return False
        return True

    def write(self, path: Path) -> None:
        """Writes the index to a file.

        Raises:
            InputError: the file can't be written.
        """
        with replacing(path) as temporary, temporary.open("wb") as file:
            faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write))

    def num_bytes(self) -> int:
        """Returns the size of the index in bytes, as of a file."""
        counter = _Counter()
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(counter.write))
        return counter.total


class _Counter:
    total = 0

    def write(self, content: bytes) -> None:
        self.total += len(content)
