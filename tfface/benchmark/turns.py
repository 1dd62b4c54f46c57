"""Measuring things in turns, so that what else the machine does touches all of them alike."""

import contextlib
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from tfface.errors import InputError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Turns:
    """Seconds of one thing.

    Attributes:
        seconds: of each of its turns.
        times_first: how many times as long as the first thing in the same round it took, the median
            over the rounds.
    """

    seconds: tuple[float, ...]
    times_first: float

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Counted:
    """What of a turn counts.

    Attributes:
        seconds: of it.
    """

    seconds: float


def take_turns(things: Mapping[str, Callable[[], object]], num_rounds: int) -> dict[str, Turns]:
    """Runs each thing once a round, A B C A B C, after a round that is not counted.

    Args:
        things: name -> what to run; it returns when it is done, with `Counted` if not all of it
            counts.
        num_rounds: > 0.
    """
    for run in things.values():
        run()
    rounds = []
    for _ in range(num_rounds):
        seconds = []
        for run in things.values():
            start = time.perf_counter()
            counted = run()
            all_of_it = time.perf_counter() - start
            seconds.append(counted.seconds if isinstance(counted, Counted) else all_of_it)
        rounds.append(seconds)
    return {
        name: Turns(
            tuple(seconds[place] for seconds in rounds),
            statistics.median(seconds[place] / seconds[0] for seconds in rounds),
        )
        for place, name in enumerate(things)
    }


def images_per_second(num_images: int, seconds: Sequence[float]) -> dict[str, float]:
    """Returns the least, the median and the greatest rate of turns of so many images each."""
    rates = [num_images / one for one in seconds]
    return {"min": min(rates), "median": statistics.median(rates), "max": max(rates)}


def in_process(function: Callable[..., Result], *arguments: Any) -> Result:
    """Calls a function in a process of its own, so that only its memory counts.

    What that process says on stderr is passed on only if the function fails.
    """
    with tempfile.TemporaryFile() as heard, contextlib.ExitStack() as end:
        with _stderr_into(heard):
            pool = end.enter_context(multiprocessing.get_context("spawn").Pool(1))
        try:
            return pool.apply(function, arguments)
        except Exception:
            heard.seek(0)
            sys.stderr.write(heard.read().decode(errors="replace"))
            raise


@contextlib.contextmanager
def _stderr_into(file: BinaryIO) -> Iterator[None]:
    """For processes that are started in the block; they keep it."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def forget_peak() -> None:
    """Makes Linux count the process's peak memory from now on.

    Raises InputError: not on Linux.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError as error:
        raise InputError(
            f"peak memory can't be measured here: {error.strerror}; Linux is needed"
        ) from error


def peak_bytes() -> int:
    """The most memory that this process has had since its start, or since `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
