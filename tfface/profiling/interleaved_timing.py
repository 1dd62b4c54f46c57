"""Interleaved timing: all functions run once in each round, so other load affects them alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """The times of one function.

    Attributes:
        seconds: Seconds in each round.
        relative_time: Time divided by that of the first function in the same round; the median
            over the rounds.

    Example:
        >>> Timing(seconds=(2.0, 4.0, 3.0), relative_time=1.0).median
        3.0
    """

    seconds: tuple[float, ...]
    relative_time: float

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class CountedTime:
    """What a function returns to `time_interleaved` if not all of its time counts.

    Attributes:
        seconds: The time that counts.

    Example:
        >>> timings = time_interleaved({"half": lambda: CountedTime(0.5)}, num_rounds=2)
        >>> timings["half"].seconds
        (0.5, 0.5)
    """

    seconds: float


def time_interleaved(
    functions: Mapping[str, Callable[[], object]], num_rounds: int
) -> dict[str, Timing]:
    """Runs all functions in each round, A B C A B C, after a warm-up round that is not counted.

    Args:
        functions: Name -> function. It blocks until its work is done, and may return
            `CountedTime`.
        num_rounds: Number of counted rounds, > 0.

    Returns:
        Name -> its times.

    Example:
        >>> timings = time_interleaved({"short": lambda: sum(range(10)), "long": list}, 3)
        >>> len(timings["short"].seconds), timings["short"].relative_time
        (3, 1.0)
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
    """Returns the lowest, median and highest rate.

    Args:
        num_images: Images processed in each round.
        seconds: Seconds of each round.

    Returns:
        `min`, `median` and `max`, in images per second.

    Example:
        >>> images_per_second(100, [2.0, 5.0, 4.0])
        {'min': 20.0, 'median': 25.0, 'max': 50.0}
    """
    rates = [num_images / value for value in seconds]
    return {"min": min(rates), "median": statistics.median(rates), "max": max(rates)}
