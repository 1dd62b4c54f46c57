"""Measuring things in turns, so that what else the machine does touches all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


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
