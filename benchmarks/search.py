"""Measure build time, memory, speed and recall of gallery indexes.

Example:
    python benchmarks/search.py --gallery-size 1000000 --results results/search.csv

Searches synthetic embeddings with FAISS's flat, HNSW and IVF indexes, one after another. Recall is
relative to the flat index, which is exact.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import _common
import numpy as np
from synthetic_embeddings import SyntheticEmbeddings

from tfface.cli import command, outputs
from tfface.errors import InputError
from tfface.metrics.identification import recall_at_k
from tfface.profiling.subprocess_runs import peak_memory_bytes, reset_peak_memory
from tfface.progress import progress
from tfface.reporting.results import text_table

if TYPE_CHECKING:
    from tfface.evaluation.face_index import FaceIndex

_NEAREST = 10
# Queries that are searched one by one.
_SINGLE = 100
_MIB = 1 << 20
# Between two lines about the progress of a build.
_SILENCE_SECONDS = 20


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    outputs.check_results(options)
    synthetic = SyntheticEmbeddings(
        size=options.gallery_size,
        dimension=options.dimension,
        num_queries=options.num_queries,
        images_per_identity=options.images_per_identity,
        seed=options.seed,
    )
    if synthetic.num_queries > synthetic.num_identities:
        raise InputError(
            f"--num-queries {synthetic.num_queries}: more than the {synthetic.num_identities} "
            f"identities of {synthetic.size} embeddings, {synthetic.images_per_identity} of each"
        )
    rows = measure_search(
        synthetic,
        options.index,
        num_threads=options.threads,
        say=lambda line: print(line, flush=True),
    )
    print(as_text(rows))
    outputs.append_results(options, rows)


@dataclass(frozen=True)
class _Measurement:
    peak_memory_bytes: int
    rate_one_thread: float
    rate_all_threads: float
    milliseconds: float
    similarity: np.ndarray
    numbers: np.ndarray


def measure_search(
    synthetic: SyntheticEmbeddings,
    kinds: Sequence[str],
    *,
    num_threads: int | None = None,
    say: Callable[[str], None],
) -> list[dict[str, object]]:
    """Builds and searches one index after another; only one is in memory at any time.

    Args:
        synthetic: The gallery and its queries.
        kinds: Kinds of indexes. The flat index is always measured, first, as the reference.
        num_threads: Number of threads; None for one per processor.
        say: Called with lines about the progress.

    Returns:
        A row of results for each kind, and for hnsw and ivf one for each search width. Build times
        exclude making the embeddings. Memory is that of the index, and the peak of the process.
    """
    import faiss

    threads = num_threads or os.cpu_count() or 1
    gallery_identities, query_identities = (
        synthetic.gallery_identities(),
        synthetic.query_identities(),
    )
    say(
        f"{synthetic.size:,} synthetic embeddings of {synthetic.num_identities:,} identities and "
        f"{synthetic.num_queries:,} queries, dimension {synthetic.dimension}"
    )
    say(_describe_cosines(synthetic, gallery_identities, query_identities))
    queries = np.concatenate([queries for _, queries in synthetic.blocks()])
    rows, nearest = [], None
    try:
        for kind in ["flat", *(kind for kind in kinds if kind != "flat")]:
            faiss.omp_set_num_threads(threads)
            reset_peak_memory()
            index, build_seconds = _build(kind, synthetic, say)
            num_bytes = index.num_bytes()
            say(f"{kind}: built in {build_seconds:.1f} s, {num_bytes / _MIB:,.0f} MiB")
            for effort in _search_efforts(index):
                index.effort = effort
                say(f"{kind}: searching{f' ({index.parameters})' if effort else ''}")
                measured = _measure(index, queries, threads)
                if nearest is None:
                    nearest = measured.similarity
                rows.append(
                    {
                        "gallery_size": synthetic.size,
                        "embedding_size": synthetic.dimension,
                        "index": kind,
                        "index_parameters": index.parameters or None,
                        "build_s": build_seconds,
                        "index_mib": num_bytes / _MIB,
                        "peak_memory_mib": measured.peak_memory_bytes / _MIB,
                        "queries_per_s_1_thread": measured.rate_one_thread,
                        "num_threads": threads,
                        "queries_per_s": measured.rate_all_threads,
                        "query_ms": measured.milliseconds,
                        "recall_at_1": recall_at_k(measured.similarity, nearest, 1),
                        "recall_at_10": recall_at_k(measured.similarity, nearest, nearest.shape[1]),
                        "rank1": np.mean(
                            gallery_identities[measured.numbers[:, 0]] == query_identities
                        ),
                        "faiss": faiss.__version__,
                    }
                )
            # Before the next one is built.
            del index
    finally:
        faiss.omp_set_num_threads(os.cpu_count() or 1)
    return rows


def as_text(rows: Sequence[dict[str, object]]) -> str:
    """Returns the rows as a table."""
    # Without the columns that are the same in all rows.
    return text_table(rows, without=("gallery_size", "embedding_size", "faiss"))


def _search_efforts(index: "FaceIndex") -> list[int | None]:
    """Returns three search widths: a quarter of the default, the default, and four times it."""
    if index.effort is None:
        return [None]
    return sorted({min(round(index.effort * times), index.max_effort) for times in (0.25, 1, 4)})


def _measure(index: "FaceIndex", queries: np.ndarray, threads: int) -> _Measurement:
    import faiss

    faiss.omp_set_num_threads(threads)
    index.search(queries[:8], _NEAREST)
    single = queries[:_SINGLE]
    milliseconds = 1000 * _seconds(lambda: [index.search(q[None], _NEAREST) for q in single])
    all_threads = _seconds(lambda: index.search(queries, _NEAREST))
    faiss.omp_set_num_threads(1)
    start = time.perf_counter()
    similarity, numbers = index.search(queries, _NEAREST)
    one_thread = time.perf_counter() - start
    return _Measurement(
        peak_memory_bytes=peak_memory_bytes(),
        rate_one_thread=len(queries) / one_thread,
        rate_all_threads=len(queries) / all_threads,
        milliseconds=milliseconds / len(single),
        similarity=similarity,
        numbers=numbers,
    )


def _build(kind: str, synthetic: SyntheticEmbeddings, say: Callable) -> "tuple[FaceIndex, float]":
    """Returns an index of all embeddings, and the seconds that training and adding took."""
    from tfface.evaluation.face_index import FaceIndex

    index = FaceIndex(kind, synthetic.dimension, synthetic.size)
    seconds = 0.0
    if index.num_training_embeddings:
        sample = _take(synthetic.blocks(), index.num_training_embeddings)
        seconds += _seconds(lambda: index.train(sample))
        say(f"{kind}: trained on {len(sample):,} embeddings in {seconds:.1f} s")
        del sample
    said = time.perf_counter()
    with progress(total=synthetic.size, description=f"building {kind}", unit="embeddings") as bar:
        for vectors, _ in synthetic.blocks():
            seconds += _seconds(lambda vectors=vectors: index.add(vectors))
            bar.update(len(vectors))
            if time.perf_counter() - said > _SILENCE_SECONDS:
                said = time.perf_counter()
                say(f"{kind}: {len(index) / synthetic.size:.0%} built after {seconds:.0f} s")
    return index, seconds


def _take(blocks: Iterable[tuple[np.ndarray, np.ndarray]], count: int) -> np.ndarray:
    parts, total = [], 0
    for vectors, _ in blocks:
        parts.append(vectors)
        total += len(vectors)
        if total >= count:
            break
    return np.concatenate(parts)[:count]


def _describe_cosines(
    synthetic: SyntheticEmbeddings, gallery_identities: np.ndarray, query_identities: np.ndarray
) -> str:
    """Describes the cosine similarities of the embeddings, to compare them with a real model's."""
    vectors, queries = next(iter(synthetic.blocks()))
    cosines = queries @ vectors.T
    same = query_identities[: len(queries), None] == gallery_identities[None, : len(vectors)]
    kinds = {"the same identity": cosines[same], "different identities": cosines[~same]}
    return "cosines: " + ", ".join(
        f"{values.mean():.2f} +- {values.std():.2f} of {kind}"
        for kind, values in kinds.items()
        if len(values)
    )


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = _common.make_parser(__doc__)
    parser.add_argument(
        "--gallery-size",
        type=command.positive,
        default=100_000,
        metavar="N",
        help="embeddings in the gallery (default 100000)",
    )
    parser.add_argument(
        "--dimension",
        type=_dimension,
        default=512,
        metavar="D",
        help="dimension of the embeddings (default 512)",
    )
    parser.add_argument(
        "--images-per-identity",
        type=command.positive,
        default=4,
        metavar="N",
        help="gallery embeddings of each identity (default 4)",
    )
    parser.add_argument(
        "--num-queries",
        type=command.positive,
        default=1000,
        metavar="N",
        help="queries, each of another identity (default 1000)",
    )
    parser.add_argument(
        "--index",
        nargs="+",
        choices=["flat", "hnsw", "ivf"],
        default=["flat", "hnsw", "ivf"],
        help="indexes to measure; flat is always measured (default: all)",
    )
    parser.add_argument(
        "--threads",
        type=command.workers,
        metavar="N",
        help="number of threads (default: one per CPU)",
    )
    parser.add_argument(
        "--seed", type=command.natural, default=0, metavar="SEED", help="(default 0)"
    )
    return parser.parse_args(arguments)


def _dimension(text: str) -> int:
    if not text.isdecimal() or not 2 <= int(text) <= 65536:
        raise argparse.ArgumentTypeError(f"must be a whole number from 2 to 65536, got '{text}'")
    return int(text)


if __name__ == "__main__":
    command.run(main)
