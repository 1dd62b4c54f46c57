"""Whether a run of many epochs takes more and more memory, or leaves files open."""

import contextlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from tfface.errors import InputError
from tfface.parent_process import end_with_parent
from tfface.recipe import Recipe
from tfface.reporting.metrics_log import epoch_records, read_metrics
from tfface.training.run_folder import RunFolder

_MIB = 1 << 20
_POLL_SECONDS = 0.05
# The first epochs make what stays: programs, caches, pools of memory.
_WARM_UP = 0.25


@dataclass(frozen=True)
class Sample:
    """What a run has after an epoch.

    Attributes:
        epoch: how many are finished.
        resident_bytes: of memory.
        num_files: open handles.
        num_threads: of the process.
    """

    epoch: int
    resident_bytes: int
    num_files: int
    num_threads: int


def measure_long_run(
    recipe: Recipe, data_dir: Path, *, say: Callable[[str], None] = lambda line: None
) -> list[Sample]:
    """Trains a recipe in a process of its own and looks at it after every epoch.

    Raises InputError: not on Linux; or the run fails.
    """
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
                # It may end at any moment.
                with contextlib.suppress(OSError):
                    samples.append(_sample(process.pid, epoch))
                    if epoch % 20 == 0:
                        say(f"epoch {epoch}: {samples[-1].resident_bytes / _MIB:,.0f} MiB")
            time.sleep(_POLL_SECONDS)
        process.join()
    if process.exitcode:
        raise InputError(f"the run failed with exit code {process.exitcode}; see above")
    if len(samples) < 8:
        raise InputError("too few epochs to tell: give the stages more, or larger ones")
    return samples


def rows(samples: Sequence[Sample]) -> list[dict[str, object]]:
    """Returns the row of results: what there was after a quarter of the epochs, and at the end."""
    late = _late(samples)
    slope = np.polyfit([s.epoch for s in late], [s.resident_bytes / _MIB for s in late], 1)[0]
    first, last = late[0], late[-1]
    return [
        {
            "num_epochs": last.epoch,
            "warmup_epochs": first.epoch,
            "memory_after_warmup_mib": first.resident_bytes / _MIB,
            "memory_at_end_mib": last.resident_bytes / _MIB,
            # Rounded, as a line through what stays the same has a slope of 1e-16.
            "memory_growth_per_epoch_mib": round(slope, 3),
            "open_files_after_warmup": first.num_files,
            "open_files_at_end": last.num_files,
            "threads_after_warmup": first.num_threads,
            "threads_at_end": last.num_threads,
            "backend": keras.backend.backend(),
        }
    ]


def to_json(samples: Sequence[Sample]) -> list[dict[str, int]]:
    """Returns one object for each epoch."""
    return [vars(sample) for sample in samples]


def _late(samples: Sequence[Sample]) -> Sequence[Sample]:
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
