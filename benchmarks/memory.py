"""Measure whether memory, open files or threads of a long run grow.

Example:
    python benchmarks/memory.py recipes/quickstart.yaml --set training.stages.0.epochs=200 \\
        --results results/memory.csv --plots memory

Trains a recipe in a subprocess and samples its memory, open files and threads after each epoch.
"""

import argparse
import contextlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import _common
import numpy as np

from tfface.cli import benchmark_outputs, command, outputs, recipe_options
from tfface.errors import InputError
from tfface.parent_process import end_with_parent
from tfface.recipe import Recipe, load
from tfface.reporting.metrics_log import epoch_records, read_metrics
from tfface.reporting.results import text_table

_MIB = 1 << 20
# First lines of the file of --json.
_JSON_LINES = ("[", "  {", '    "epoch": ', '    "resident_bytes": ')
_POLL_SECONDS = 0.05
# The first epochs, in which programs, caches and memory pools are allocated.
_WARM_UP = 0.25


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    from tfface.training.registries import REGISTRIES

    outputs.check_results(options)
    benchmark_outputs.check(options, "memory", _JSON_LINES)
    samples = measure_memory(
        load(options.recipe, REGISTRIES, options.set),
        options.data_dir,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(text_table(rows(samples)))
    benchmark_outputs.write(options, to_json(samples), "memory", plot_memory)
    outputs.append_results(options, rows(samples))


@dataclass(frozen=True)
class Sample:
    """The resources of a run after an epoch.

    Attributes:
        epoch: Number of finished epochs.
        resident_bytes: Resident memory.
        num_files: Open files.
        num_threads: Threads.
    """

    epoch: int
    resident_bytes: int
    num_files: int
    num_threads: int


def measure_memory(
    recipe: Recipe, data_dir: Path, *, say: Callable[[str], None] = lambda line: None
) -> list[Sample]:
    """Trains a recipe in a subprocess and samples its resources after each epoch.

    Args:
        recipe: The recipe.
        data_dir: Where its relative paths start.
        say: Called with lines about the progress.

    Raises:
        InputError: The system is not Linux, the run failed, or it had too few epochs.
    """
    from tfface.training.run_folder import RunFolder

    if not Path("/proc/self/statm").exists():
        raise InputError("memory is measured on Linux only")
    with tempfile.TemporaryDirectory(prefix="tfface-") as folder:
        run = RunFolder(Path(folder) / "run")
        process = multiprocessing.get_context("spawn").Process(
            target=_train, args=(recipe, run.path, data_dir)
        )
        process.start()
        samples: list[Sample] = []
        while process.is_alive():
            epoch = _num_epochs(run.metrics)
            if epoch > (samples[-1].epoch if samples else 0):
                # The subprocess may end at any moment.
                with contextlib.suppress(OSError):
                    samples.append(_sample(process.pid, epoch))
                    if epoch % 20 == 0:
                        say(f"epoch {epoch}: {samples[-1].resident_bytes / _MIB:,.0f} MiB")
            time.sleep(_POLL_SECONDS)
        process.join()
    if process.exitcode:
        raise InputError(f"the run failed with exit code {process.exitcode}; see above")
    if len(samples) < 8:
        raise InputError("too few epochs were sampled: give the stages more or longer epochs")
    return samples


def rows(samples: Sequence[Sample]) -> list[dict[str, object]]:
    """Returns the row of results: after a quarter of the epochs, and at the end."""
    import keras

    steady = _after_warm_up(samples)
    slope = np.polyfit([s.epoch for s in steady], [s.resident_bytes / _MIB for s in steady], 1)[0]
    first, last = steady[0], steady[-1]
    return [
        {
            "num_epochs": last.epoch,
            "warmup_epochs": first.epoch,
            "memory_after_warmup_mib": first.resident_bytes / _MIB,
            "memory_at_end_mib": last.resident_bytes / _MIB,
            # Rounded, as a line through constant values may have a slope of 1e-16.
            "memory_growth_per_epoch_mib": round(slope, 3),
            "open_files_after_warmup": first.num_files,
            "open_files_at_end": last.num_files,
            "threads_after_warmup": first.num_threads,
            "threads_at_end": last.num_threads,
            "backend": keras.backend.backend(),
        }
    ]


def to_json(samples: Sequence[Sample]) -> list[dict[str, int]]:
    """Returns a JSON object for each epoch."""
    return [vars(sample) for sample in samples]


def plot_memory(path: Path, rows: Sequence[Mapping[str, int]]) -> None:
    """Plots resident memory and the number of open files over the epochs.

    Args:
        path: The PNG file.
        rows: Objects with `epoch`, `resident_bytes` and `num_files`.
    """
    from matplotlib.figure import Figure

    from tfface.reporting.plots import BLUE, save_figure, style_axes

    figure = Figure(figsize=(7, 4.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    epochs = [row["epoch"] for row in rows]
    above.plot(epochs, [row["resident_bytes"] / 2**20 for row in rows], color=BLUE)
    below.plot(epochs, [row["num_files"] for row in rows], color=BLUE)
    style_axes(above, "resident memory, MiB", "", "")
    style_axes(below, "open files", "epoch", "")
    for axes in (above, below):
        axes.set_ylim(bottom=0)
    save_figure(figure, path)


def _after_warm_up(samples: Sequence[Sample]) -> Sequence[Sample]:
    return samples[int(len(samples) * _WARM_UP) :]


def _train(recipe: Recipe, run_dir: Path, data_dir: Path) -> None:
    from tfface.training.run import train

    end_with_parent(multiprocessing.parent_process().pid)
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        train(recipe, run_dir, data_dir)


def _num_epochs(metrics: Path) -> int:
    if not metrics.exists():
        return 0
    return len(epoch_records(read_metrics(metrics)))


def _sample(pid: int, epoch: int) -> Sample:
    process = Path("/proc") / str(pid)
    pages = int((process / "statm").read_text().split()[1])
    return Sample(
        epoch,
        pages * os.sysconf("SC_PAGE_SIZE"),
        len(os.listdir(process / "fd")),
        len(os.listdir(process / "task")),
    )


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = _common.make_parser(__doc__)
    recipe_options.add(parser)
    recipe_options.add_data_dir(parser)
    benchmark_outputs.add(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    command.run(main)
