"""Searching many embeddings for the nearest: FAISS indexes behind one door.

    flat  compares with every embedding: exact, in a time that grows with their number
    hnsw  follows a graph of neighbours: quick to search, slow to build, misses some of the nearest
    ivf   compares with the embeddings of the nearest cells only: the like, quicker to build

Embeddings have length 1, so cosine and squared L2 distance (2 - 2 cosine) tell one order. What is
returned are cosines, whichever of the two an index computes.
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

# Of hnsw: neighbours of a node, and candidates that are kept in mind while they are looked for.
# Twice as many candidates take twice the time to build.
HNSW_NEIGHBOURS, HNSW_CONSTRUCTION = 32, 40
# What a search goes through unless told otherwise: of hnsw candidates that are kept in mind, of ivf
# cells. Among a million embeddings of 512 numbers that finds the nearest in 97 and in 94 of 100
# searches, in a tenth of the time that flat takes or less; see results/search.csv.
EFFORTS = {"hnsw": 512, "ivf": 256}
# A cell is learned badly of fewer embeddings than the first; more than the second help little.
_LEAST_PER_CELL, _MOST_PER_CELL = 39, 64
# Added together: steps of the progress bar.
_BLOCK = 8192


def _flat(size: int, metric: int, expected: int) -> faiss.Index:
    return _EXHAUSTIVE[metric](size)


def _hnsw(size: int, metric: int, expected: int) -> faiss.Index:
    index = faiss.IndexHNSWFlat(size, HNSW_NEIGHBOURS, metric)
    index.hnsw.efConstruction = HNSW_CONSTRUCTION
    return index


def _ivf(size: int, metric: int, expected: int) -> faiss.Index:
    cells = max(1, min(round(2 * math.sqrt(expected)), expected // _LEAST_PER_CELL))
    index = faiss.IndexIVFFlat(_EXHAUSTIVE[metric](size), size, cells, metric)
    index.cp.max_points_per_centroid = _MOST_PER_CELL
    # A single cell is learned of whatever there is, and needs no warning.
    index.cp.min_points_per_centroid = 1
    return index


# To add a kind: a function from embedding size, metric and expected number, and a line here.
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
        expected: about how many embeddings there will be; it decides the number of ivf's cells.
        metric: one of `METRICS`; what the index computes, not what is returned.
    """

    def __init__(self, kind: str, embedding_size: int, expected: int, metric: str = "cosine"):
        self._use(kind, metric, KINDS[kind](embedding_size, METRICS[metric], expected))

    @classmethod
    def of(cls, vectors: np.ndarray, kind: str = "flat", metric: str = "cosine") -> "FaceIndex":
        """Returns an index that holds `vectors`, float32 [n, embedding_size] of length 1."""
        index = cls(kind, vectors.shape[1], len(vectors), metric)
        index.learn(vectors)
        index.add(vectors)
        return index

    @classmethod
    def read(cls, path: Path, kind: str, metric: str = "cosine") -> "FaceIndex":
        """Reads what `write` wrote. The file has to be trusted: FAISS believes what it says.

        Raises InputError: it can't be read, or holds an index of another kind or metric.
        """
        try:
            with path.open("rb") as file:
                found = faiss.read_index(faiss.PyCallbackIOReader(file.read))
        except OSError as error:
            raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
        except (RuntimeError, MemoryError) as error:
            raise InputError(f"{path}: no index, or a damaged one") from error
        expected = KINDS[kind](found.d, METRICS[metric], found.ntotal)
        if type(found) is not type(expected) or found.metric_type != METRICS[metric]:
            raise InputError(f"{path}: an index of another kind; expected {kind}, {metric}")
        index = cls.__new__(cls)
        index._use(kind, metric, found)
        return index

    def _use(self, kind: str, metric: str, index: faiss.Index) -> None:
        self.kind, self.metric, self._index = kind, metric, index
        # It isn't kept in every kind of file.
        self.effort = EFFORTS.get(kind)

    def __len__(self) -> int:
        return self._index.ntotal

    @property
    def embedding_size(self) -> int:
        return self._index.d

    @property
    def num_to_learn(self) -> int:
        """How many embeddings are of use to `learn`."""
        return _MOST_PER_CELL * self._index.nlist if self.kind == "ivf" else 0

    @property
    def effort(self) -> int | None:
        """Candidates that hnsw keeps in mind in a search, cells that ivf searches; None of flat.

        More find more, and take longer. It may be set at any time, to a number > 0.
        """
        return self._effort

    @effort.setter
    def effort(self, effort: int | None) -> None:
        self._effort = effort
        if self.kind == "hnsw":
            self._index.hnsw.efSearch = effort
        if self.kind == "ivf":
            self._effort = self._index.nprobe = min(effort, self.most_effort)

    @property
    def most_effort(self) -> int:
        """From this effort on, a search goes through everything."""
        return self._index.nlist if self.kind == "ivf" else len(self)

    @property
    def parameters(self) -> str:
        """What decides speed and recall, in words; empty for flat."""
        if self.kind == "hnsw":
            return (
                f"M {HNSW_NEIGHBOURS}, efConstruction {HNSW_CONSTRUCTION}, efSearch {self.effort}"
            )
        if self.kind == "ivf":
            return f"{self._index.nlist} cells, {self.effort} searched"
        return ""

    @property
    def search_width(self) -> int:
        """The most candidates that a search gives without searching further than usual."""
        return self.effort if self.kind == "hnsw" else len(self)

    def learn(self, sample: np.ndarray) -> None:
        """Learns what the kind has to know before embeddings are added: the cells of ivf.

        Args:
            sample: float32 [n, embedding_size] of length 1, at least one for each cell.
        """
        if not self._index.is_trained:
            self._index.train(sample)

    def add(self, vectors: np.ndarray) -> None:
        """Adds float32 [n, embedding_size] of length 1; many of them with a progress bar."""
        if len(vectors) <= _BLOCK:
            self._index.add(vectors)
            return
        blocks = range(0, len(vectors), _BLOCK)
        for start in progress(blocks, description=f"building {self.kind}", unit="blocks"):
            self._index.add(vectors[start : start + _BLOCK])

    def search(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Finds the nearest embeddings of each query.

        Args:
            queries: float32 [n, embedding_size] of length 1.
            count: wanted, > 0; fewer come back when the index holds fewer.
        Returns: cosines, float32 [n, min(count, len)], falling; and the embeddings' numbers,
            int64. Where hnsw or ivf find fewer: -inf and `UNKNOWN`.
        """
        count = min(count, len(self))
        found, numbers = self._index.search(np.ascontiguousarray(queries), count)
        if self.metric == "l2":
            found = 1 - found / 2
        # Rounding makes a little more than 1 of equals.
        found = np.clip(found, -1, 1)
        found[numbers == UNKNOWN] = -np.inf
        return found, numbers

    def vectors(self) -> np.ndarray:
        """Returns all embeddings in order, float32 [len, embedding_size]."""
        if not len(self):
            return np.empty((0, self.embedding_size), np.float32)
        if self.kind == "ivf":
            self._index.make_direct_map()
        return self._index.reconstruct_n(0, len(self))

    def write(self, path: Path) -> None:
        """Writes the index to a file.

        Raises InputError: it can't be written.
        """
        with replacing(path) as temporary, temporary.open("wb") as file:
            faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write))

    def num_bytes(self) -> int:
        """Returns the size of the index, as it would be in a file."""
        counter = _Counter()
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(counter.write))
        return counter.total


class _Counter:
    total = 0

    def write(self, content: bytes) -> None:
        self.total += len(content)
