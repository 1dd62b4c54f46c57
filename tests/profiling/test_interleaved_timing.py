"""Interleaved timing."""

import time

from tfface.profiling.interleaved_timing import CountedTime, time_interleaved


def test_each_function_runs_once_in_every_round():
    done = []
    timings = time_interleaved({name: lambda name=name: done.append(name) for name in "abc"}, 2)
    assert "".join(done) == "abc" * 3
    assert [len(timings[name].seconds) for name in "abc"] == [2, 2, 2]


def test_counted_time():
    timings = time_interleaved(
        {"all": lambda: time.sleep(0.01), "part": lambda: CountedTime(5.0)}, 2
    )
    assert timings["part"].seconds == (5.0, 5.0)
    assert timings["all"].median < 5


def test_relative_time():
    timings = time_interleaved(
        {"short": lambda: time.sleep(0.02), "long": lambda: time.sleep(0.06)}, 3
    )
    assert timings["short"].relative_time == 1
    assert 2 < timings["long"].relative_time < 4
    assert 0.05 < timings["long"].median < 0.2
