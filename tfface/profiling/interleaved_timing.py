"""Measuring things in turns, so that what else the machine does touches all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds of one thing.

    Attributes:
        seconds: of each of its turns.
        times_first: how many times as long as the first thing in the same round it took, the median
            over the rounds.
    """

    seconds: tuple[float, ...]
    relative_time: float

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class CountedTime:
    """What of a turn counts.

    Attributes:
        seconds: of it.
    """

    seconds: float


def time_interleaved(
    functions: Mapping[str, Callable[[], object]], num_rounds: int
) -> dict[str, Timing]:
    """Runs each thing once a round, A B C A B C, after a round that is not counted.

    Args:
        things: name -> what to run; it returns when it is done, with `Counted` if not all of it
            counts.
        num_rounds: > 0.
    """
    for function in functions.values():
        function()
    rounds = []
    for _ in range(num_rounds):
        seconds = []
        for function in functions.values():
            start = time.perf_counter()
            result = function()
            elapsed = time.perf_counter() - start
            seconds.append(result.seconds if isinstance(result, CountedTime) else elapsed)
        rounds.append(seconds)
    return {
        name: Timing(
            tuple(seconds[position] for seconds in rounds),
            statistics.median(seconds[position] / seconds[0] for seconds in rounds),
        )
        for position, name in enumerate(functions)
    }


def images_per_second(num_images: int, seconds: Sequence[float]) -> dict[str, float]:
    """Returns the least, the median and the greatest rate of turns of so many images each."""
    rates = [num_images / one for one in seconds]
    return {"min": min(rates), "median": statistics.median(rates), "max": max(rates)}
