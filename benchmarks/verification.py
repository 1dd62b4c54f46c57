"""Measure speed and memory of the verification metrics.

Example:
    python benchmarks/verification.py --results results/verification_speed.csv

Computes the metrics of a synthetic pair set of LFW's size, and of millions of pairs of synthetic
templates, and compares them with baselines made of plain loops.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import _common
import baseline_verification
import numpy as np

from tfface.cli import command, outputs
from tfface.data.int_table import read_number_lines
from tfface.files import replacing
from tfface.metrics.bootstrap import NUM_REPLICATES
from tfface.metrics.templates import TemplatePool, pair_similarities
from tfface.metrics.verification import metrics_from_scores, verification
from tfface.profiling.subprocess_runs import peak_memory_bytes, run_in_subprocess
from tfface.reporting.results import text_table

_EMBEDDING_SIZE = 512
# Those of LFW: images, identities and pairs.
_NUM_IMAGES, _NUM_IDENTITIES, _NUM_PAIRS = 7701, 4281, 6000
# Runs of a fast measurement for each run of the others.
_QUICK_RUNS = 5

_READING, _POOLING, _COMPARING, _METRICS = (
    "read the list of pairs",
    "pool images",
    "similarities",
    "figures",
)
_MIB = 1 << 20


@dataclass(frozen=True)
class TemplateShape:
    """The size of a synthetic template set.

    Attributes:
        num_pairs: Pairs of templates.
        num_galleries: Gallery templates, the first of each pair.
        num_probes: Probe templates, the second of each pair; >= `num_galleries`.
        num_media: Media of each template.
        num_frames: Images of each medium.
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
    with _common.work_folder(options.work_dir) as folder:
        rows = measure_verification(
            options.num_pairs,
            folder,
            num_runs=options.runs,
            say=lambda line: print(line, flush=True),
        )
    print(text_table(rows, without=("baseline",)))
    outputs.append_results(options, rows)


def measure_verification(
    num_pairs: int, folder: Path, *, num_runs: int, say: Callable[[str], None] = lambda line: None
) -> list[dict[str, object]]:
    """Measures the metrics of 6,000 pairs of images and of many pairs of templates.

    Each measurement and its baseline run in a subprocess. The fastest run counts. Memory is the
    peak in addition to that at the start of the subprocess.

    Args:
        num_pairs: Pairs of templates.
        folder: Folder for the temporary list of pairs, 13 bytes each.
        num_runs: Number of runs, > 0; five times as many for what takes milliseconds.
        say: Called with lines about the progress.

    Returns:
        A row of results for each measurement.
    """
    shape = replace(_IJB_C, num_pairs=num_pairs)
    say("pairs of images")
    rows = [
        _row(
            name,
            _NUM_PAIRS,
            run_in_subprocess(_pair_set, _QUICK_RUNS * num_runs, num_replicates),
            run_in_subprocess(_baseline_pair_set, num_runs, num_replicates),
            _METRICS,
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
        measured = run_in_subprocess(_templates, num_runs, shape, pairs_file)
        say("pairs of templates, baseline")
        baseline = run_in_subprocess(_baseline_templates, 1, shape, pairs_file)
    finally:
        pairs_file.unlink(missing_ok=True)
    return rows + [
        _row(f"templates: {step}", num_pairs, measured, baseline, step) for step in measured.seconds
    ]


@dataclass(frozen=True)
class _Measurement:
    """Seconds of each step, and peak memory in bytes in addition to that at the start."""

    seconds: dict[str, float]
    peak: int


def _row(
    name: str, num_pairs: int, measured: _Measurement, baseline: _Measurement, step: str
) -> dict[str, object]:
    seconds, baseline_seconds = measured.seconds[step], baseline.seconds[step]
    peaks = [measured.peak / _MIB if step == "all" else None for measured in (measured, baseline)]
    return {
        "operation": name,
        "num_pairs": num_pairs,
        "time_ms": 1000 * seconds,
        "baseline": "plain loops",
        "baseline_ms": 1000 * baseline_seconds,
        "speedup": baseline_seconds / seconds,
        "peak_memory_mib": peaks[0],
        "baseline_peak_memory_mib": peaks[1],
    }


class _StepTimer:
    """Keeps the shortest time of each step, and of all steps together, over several runs."""

    def __init__(self) -> None:
        self._best: dict[str, float] = {}
        self._current_run: dict[str, float] = {}
        self._peak = peak_memory_bytes()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Adds the time of the block to a step of the current run."""
        start = time.perf_counter()
        yield
        self._current_run[name] = self._current_run.get(name, 0) + time.perf_counter() - start

    def end_run(self) -> None:
        self._current_run["all"] = sum(self._current_run.values())
        for name, seconds in self._current_run.items():
            self._best[name] = min(seconds, self._best.get(name, np.inf))
        self._current_run = {}

    def measured(self) -> _Measurement:
        return _Measurement(self._best, peak_memory_bytes() - self._peak)


# --- pairs of images ----------------------------------------------------------------------------


def synthetic_pair_set() -> dict[str, np.ndarray]:
    """Returns arguments of `verification` with as many images, identities and pairs as LFW."""
    generator = np.random.default_rng(0)
    centers = generator.normal(size=(_NUM_IDENTITIES, _EMBEDDING_SIZE)).astype(np.float32)
    identities = np.sort(
        np.concatenate(
            [
                np.arange(_NUM_IDENTITIES),
                generator.integers(0, _NUM_IDENTITIES // 3, _NUM_IMAGES - _NUM_IDENTITIES),
            ]
        )
    )
    embeddings = centers[identities]
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


def _pair_set(num_runs: int, num_replicates: int) -> _Measurement:
    pair_set = synthetic_pair_set()
    timer = _StepTimer()
    for _ in range(num_runs):
        with timer.step(_METRICS):
            verification(**pair_set, num_replicates=num_replicates)
        timer.end_run()
    return timer.measured()


def _baseline_pair_set(num_runs: int, num_replicates: int) -> _Measurement:
    pair_set = synthetic_pair_set()
    pairs = [pair_set[name] for name in ("embeddings", "first", "second", "is_genuine")]
    result = verification(*pairs, num_replicates=0)
    is_correct = (result.similarity >= result.threshold.cosine) == result.is_genuine
    timer = _StepTimer()
    for _ in range(num_runs):
        with timer.step(_METRICS):
            baseline_verification.fold_accuracies(*pairs)
            baseline_verification.rates_by_threshold(result.similarity, result.is_genuine)
            if num_replicates:
                baseline_verification.intervals(
                    result.similarity, result.is_genuine, is_correct, num_replicates
                )
        timer.end_run()
    return timer.measured()


# --- pairs of templates -------------------------------------------------------------------------


def _template_ids(shape: TemplateShape) -> tuple[np.ndarray, np.ndarray]:
    """Returns the template and the medium of each image."""
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
            # Probe i has the identity of gallery template i modulo `num_galleries`.
            second[is_genuine] = first[is_genuine]
            is_genuine = second % shape.num_galleries == first
            columns = (first, second + shape.num_galleries, is_genuine.astype(int))
            lines = zip(*(column.tolist() for column in columns), strict=True)
            file.write("".join(f"{a} {b} {label}\n" for a, b, label in lines))


def synthetic_embeddings(shape: TemplateShape) -> Iterator[np.ndarray]:
    """Yields blocks of the images' embeddings, float32 [images, 512]."""
    generator = np.random.default_rng(2)
    centers = generator.normal(size=(shape.num_galleries, _EMBEDDING_SIZE)).astype(np.float32)
    templates, _ = _template_ids(shape)
    identities = np.where(
        templates < shape.num_galleries,
        templates,
        (templates - shape.num_galleries) % shape.num_galleries,
    )
    for start in range(0, len(identities), 1 << 13):
        embeddings = centers[identities[start : start + (1 << 13)]]
        embeddings += 3 * generator.standard_normal(embeddings.shape, np.float32)
        yield embeddings


def _templates(num_runs: int, shape: TemplateShape, pairs_file: Path) -> _Measurement:
    timer = _StepTimer()
    templates, media = _template_ids(shape)
    for _ in range(num_runs):
        with timer.step(_READING):
            first, second, labels = read_number_lines(pairs_file, 3, "three numbers")
            is_genuine = labels == 1
            del labels
        with timer.step(_POOLING):
            pool = TemplatePool(np.arange(shape.num_images), templates, media)
        for embeddings in synthetic_embeddings(shape):
            with timer.step(_POOLING):
                pool.add(embeddings)
        with timer.step(_POOLING):
            pooled = pool.templates()
        with timer.step(_COMPARING):
            similarity = pair_similarities(pooled, first, second)
        with timer.step(_METRICS):
            metrics_from_scores(similarity, is_genuine, embedding_norm=pool.embedding_norm)
        timer.end_run()
    return timer.measured()


def _baseline_templates(num_runs: int, shape: TemplateShape, pairs_file: Path) -> _Measurement:
    timer = _StepTimer()
    templates, media = _template_ids(shape)
    embeddings = np.concatenate(list(synthetic_embeddings(shape)))
    for _ in range(num_runs):
        with timer.step(_READING):
            first, second, labels = baseline_verification.read_pairs(pairs_file)
        with timer.step(_POOLING):
            pooled = baseline_verification.pool(embeddings, templates, media)
        with timer.step(_COMPARING):
            similarity = baseline_verification.similarities(pooled, first, second)
        with timer.step(_METRICS):
            baseline_verification.tar_at_fars(similarity, labels == 1)
        timer.end_run()
    return timer.measured()


# --- command line -------------------------------------------------------------------------------


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = _common.make_parser(__doc__)
    parser.add_argument(
        "--num-pairs",
        type=command.positive,
        default=10_000_000,
        metavar="N",
        help="pairs of templates (default 10,000,000)",
    )
    parser.add_argument(
        "--runs",
        type=command.positive,
        default=3,
        metavar="N",
        help="runs, of which the fastest counts (default 3)",
    )
    parser.add_argument(
        "--work-dir",
        type=command.path,
        metavar="DIR",
        help="folder for the temporary list of pairs, 13 bytes each (default: the system's)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    command.run(main)
