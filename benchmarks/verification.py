"""Measure how fast, and in how much memory, the figures of verification are made.

Example:
    python benchmarks/verification.py --results results/verification_speed.csv

Draws embeddings, and makes the figures of a pair set as large as LFW's and of millions of pairs of
templates, beside the same by plain loops.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import _common
import baseline_verification as plain
import numpy as np

import command
import outputs
from tfface.data.int_table import read_number_lines
from tfface.files import replacing
from tfface.metrics.bootstrap import NUM_REPLICATES
from tfface.metrics.templates import TemplatePool, pair_similarities
from tfface.metrics.verification import metrics_from_scores, verification
from tfface.profiling.subprocess_runs import in_process, peak_bytes
from tfface.reporting.results import text_table

_EMBEDDING_SIZE = 512
# Of LFW: images, people and pairs.
_NUM_IMAGES, _NUM_PEOPLE, _NUM_PAIRS = 7701, 4281, 6000
# Runs of the quick ones for each run of the others.
_QUICK_RUNS = 5

_READING, _POOLING, _COMPARING, _FIGURES = (
    "read the list of pairs",
    "pool images",
    "similarities",
    "figures",
)
_MIB = 1 << 20


@dataclass(frozen=True)
class TemplateShape:
    """How large a drawn template set is.

    Attributes:
        num_pairs: of templates.
        num_galleries: templates that come first in pairs.
        num_probes: templates that come second, as many as those at least.
        num_media: of each template.
        num_frames: images of each medium.
    """

    num_pairs: int
    num_galleries: int
    num_probes: int
    num_media: int = 5
    num_frames: int = 2

    @property
    def num_templates(self) -> int:
        return self.num_galleries + self.num_probes

    @property
    def num_images(self) -> int:
        return self.num_templates * self.num_media * self.num_frames


# As many templates as IJB-C has, and half as many images.
_IJB_C = TemplateShape(15_658_489, num_galleries=3531, num_probes=19_593)


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    outputs.check_results(options)
    with tempfile.TemporaryDirectory(dir=options.work_dir, prefix="tfface-") as folder:
        rows = measure_verification(
            options.num_pairs,
            Path(folder),
            num_runs=options.runs,
            say=lambda line: print(line, flush=True),
        )
    print(text_table(rows, without=("baseline",)))
    outputs.append_results(options, rows)


def measure_verification(
    num_pairs: int, folder: Path, *, num_runs: int, say: Callable[[str], None] = lambda line: None
) -> list[dict[str, object]]:
    """Draws embeddings, and makes all figures of 6,000 pairs and of many pairs of templates.

    Each measurement, and its plain counterpart, is a process of its own; the best of its runs
    counts. Memory is what it takes beyond the start.

    Args:
        num_pairs: of templates.
        folder: for the list of pairs, 13 bytes for each; it is removed.
        num_runs: > 0; of what takes milliseconds, five times as many.
        say: is told what is being done.
    Returns: a row of results for each measurement.
    """
    shape = replace(_IJB_C, num_pairs=num_pairs)
    say("pairs of images")
    rows = [
        _row(
            name,
            _NUM_PAIRS,
            in_process(_pair_set, _QUICK_RUNS * num_runs, num_replicates),
            in_process(_plain_pair_set, num_runs, num_replicates),
            _FIGURES,
        )
        for name, num_replicates in (
            ("pair set, without intervals", 0),
            ("pair set, with intervals", NUM_REPLICATES),
        )
    ]
    pairs_file = folder / "pairs.txt"
    say(f"writing {num_pairs:,} pairs of templates")
    write_pairs(pairs_file, shape)
    try:
        say("pairs of templates")
        own = in_process(_templates, num_runs, shape, pairs_file)
        say("pairs of templates, plainly")
        other = in_process(_plain_templates, 1, shape, pairs_file)
    finally:
        pairs_file.unlink(missing_ok=True)
    return rows + [_row(f"templates: {step}", num_pairs, own, other, step) for step in own.seconds]


@dataclass(frozen=True)
class _Measured:
    """Seconds of each step, and bytes of memory beyond the start."""

    seconds: dict[str, float]
    peak: int


def _row(
    name: str, num_pairs: int, own: _Measured, other: _Measured, step: str
) -> dict[str, object]:
    seconds, plain_seconds = own.seconds[step], other.seconds[step]
    peaks = [measured.peak / _MIB if step == "all" else None for measured in (own, other)]
    return {
        "operation": name,
        "num_pairs": num_pairs,
        "time_ms": 1000 * seconds,
        "baseline": "plain loops",
        "baseline_ms": 1000 * plain_seconds,
        "speedup": plain_seconds / seconds,
        "peak_memory_mib": peaks[0],
        "baseline_peak_memory_mib": peaks[1],
    }


class _Clock:
    """The shortest time of each step, and of all together, over several runs."""

    def __init__(self) -> None:
        self._shortest: dict[str, float] = {}
        self._of_run: dict[str, float] = {}
        self._peak = peak_bytes()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Counts the block to a step, which may have several in a run."""
        start = time.perf_counter()
        yield
        self._of_run[name] = self._of_run.get(name, 0) + time.perf_counter() - start

    def end_run(self) -> None:
        self._of_run["all"] = sum(self._of_run.values())
        for name, seconds in self._of_run.items():
            self._shortest[name] = min(seconds, self._shortest.get(name, np.inf))
        self._of_run = {}

    def measured(self) -> _Measured:
        return _Measured(self._shortest, peak_bytes() - self._peak)


# --- pairs of images ----------------------------------------------------------------------------


def drawn_pair_set() -> dict[str, np.ndarray]:
    """Returns arguments of `verification`: embeddings, pairs and identities, as many as LFW has."""
    generator = np.random.default_rng(0)
    people = generator.normal(size=(_NUM_PEOPLE, _EMBEDDING_SIZE)).astype(np.float32)
    identities = np.sort(
        np.concatenate(
            [
                np.arange(_NUM_PEOPLE),
                generator.integers(0, _NUM_PEOPLE // 3, _NUM_IMAGES - _NUM_PEOPLE),
            ]
        )
    )
    embeddings = people[identities]
    embeddings += 2.5 * generator.normal(size=embeddings.shape).astype(np.float32)
    is_genuine = np.tile(np.repeat([True, False], 300), 10)
    first = generator.integers(0, _NUM_IMAGES, _NUM_PAIRS)
    second = generator.integers(0, _NUM_IMAGES, _NUM_PAIRS)
    alike = np.flatnonzero(identities[:-1] == identities[1:])
    first[is_genuine] = generator.choice(alike, _NUM_PAIRS // 2)
    second[is_genuine] = first[is_genuine] + 1
    same = ~is_genuine & (identities[first] == identities[second])
    second[same] = (second[same] + _NUM_IMAGES // 2) % _NUM_IMAGES
    return {
        "embeddings": embeddings,
        "first": first,
        "second": second,
        "is_genuine": is_genuine,
        "identities": identities,
    }


def _pair_set(num_runs: int, num_replicates: int) -> _Measured:
    drawn = drawn_pair_set()
    clock = _Clock()
    for _ in range(num_runs):
        with clock.step(_FIGURES):
            verification(**drawn, num_replicates=num_replicates)
        clock.end_run()
    return clock.measured()


def _plain_pair_set(num_runs: int, num_replicates: int) -> _Measured:
    drawn = drawn_pair_set()
    pairs = [drawn[name] for name in ("embeddings", "first", "second", "is_genuine")]
    result = verification(*pairs, num_replicates=0)
    is_correct = (result.similarity >= result.threshold.cosine) == result.is_genuine
    clock = _Clock()
    for _ in range(num_runs):
        with clock.step(_FIGURES):
            plain.fold_accuracies(*pairs)
            plain.rates_by_threshold(result.similarity, result.is_genuine)
            if num_replicates:
                plain.intervals(result.similarity, result.is_genuine, is_correct, num_replicates)
        clock.end_run()
    return clock.measured()


# --- pairs of templates -------------------------------------------------------------------------


def _entries(shape: TemplateShape) -> tuple[np.ndarray, np.ndarray]:
    """Returns template and medium of each image."""
    media = np.arange(shape.num_images, dtype=np.int32) // shape.num_frames
    return media // shape.num_media, media


def write_pairs(path: Path, shape: TemplateShape) -> None:
    """Writes pairs in random order, of which about 1 in 800 is genuine, as in IJB-C."""
    generator = np.random.default_rng(1)
    with replacing(path) as temporary, temporary.open("w") as file:
        for start in range(0, shape.num_pairs, 1 << 18):
            count = min(1 << 18, shape.num_pairs - start)
            first = generator.integers(0, shape.num_galleries, count)
            second = generator.integers(0, shape.num_probes, count)
            is_genuine = generator.random(count) < 1 / 800
            # The first probes are of one person of the gallery each, and so on.
            second[is_genuine] = first[is_genuine]
            is_genuine = second % shape.num_galleries == first
            columns = (first, second + shape.num_galleries, is_genuine.astype(int))
            lines = zip(*(column.tolist() for column in columns), strict=True)
            file.write("".join(f"{a} {b} {label}\n" for a, b, label in lines))


def drawn_embeddings(shape: TemplateShape) -> Iterator[np.ndarray]:
    """Yields the images' embeddings in parts: float32 [images, 512]; a template is a person."""
    generator = np.random.default_rng(2)
    people = generator.normal(size=(shape.num_galleries, _EMBEDDING_SIZE)).astype(np.float32)
    templates, _ = _entries(shape)
    person = np.where(
        templates < shape.num_galleries,
        templates,
        (templates - shape.num_galleries) % shape.num_galleries,
    )
    for start in range(0, len(person), 1 << 13):
        embeddings = people[person[start : start + (1 << 13)]]
        embeddings += 3 * generator.standard_normal(embeddings.shape, np.float32)
        yield embeddings


def _templates(num_runs: int, shape: TemplateShape, pairs_file: Path) -> _Measured:
    clock = _Clock()
    templates, media = _entries(shape)
    for _ in range(num_runs):
        with clock.step(_READING):
            first, second, labels = read_number_lines(pairs_file, 3, "three numbers")
            is_genuine = labels == 1
            del labels
        with clock.step(_POOLING):
            pool = TemplatePool(np.arange(shape.num_images), templates, media)
        for embeddings in drawn_embeddings(shape):
            with clock.step(_POOLING):
                pool.add(embeddings)
        with clock.step(_POOLING):
            pooled = pool.templates()
        with clock.step(_COMPARING):
            similarity = pair_similarities(pooled, first, second)
        with clock.step(_FIGURES):
            metrics_from_scores(similarity, is_genuine, embedding_norm=pool.embedding_norm)
        clock.end_run()
    return clock.measured()


def _plain_templates(num_runs: int, shape: TemplateShape, pairs_file: Path) -> _Measured:
    clock = _Clock()
    templates, media = _entries(shape)
    embeddings = np.concatenate(list(drawn_embeddings(shape)))
    for _ in range(num_runs):
        with clock.step(_READING):
            first, second, labels = plain.read_pairs(pairs_file)
        with clock.step(_POOLING):
            pooled = plain.pool(embeddings, templates, media)
        with clock.step(_COMPARING):
            similarity = plain.similarities(pooled, first, second)
        with clock.step(_FIGURES):
            plain.tars(similarity, labels == 1)
        clock.end_run()
    return clock.measured()


# --- command line -------------------------------------------------------------------------------


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = _common.make_parser(__doc__)
    parser.add_argument(
        "--num-pairs",
        type=command.positive,
        default=10_000_000,
        metavar="N",
        help="of templates (default 10,000,000)",
    )
    parser.add_argument(
        "--runs",
        type=command.positive,
        default=3,
        metavar="N",
        help="take the best of N (default 3)",
    )
    parser.add_argument(
        "--work-dir",
        type=command.path,
        metavar="D",
        help="where the list of pairs goes meanwhile, 13 bytes for each (default: the system's)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    command.run(main)
