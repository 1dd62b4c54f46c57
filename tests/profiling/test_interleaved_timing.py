"""Measuring in turns."""

import time

from tfface.profiling.interleaved_timing import Counted, take_turns


def test_each_has_its_turn_in_every_round():
    done = []
    turns = take_turns({name: lambda name=name: done.append(name) for name in "abc"}, 2)
    assert "".join(done) == "abc" * 3
    assert [len(turns[name].seconds) for name in "abc"] == [2, 2, 2]


def test_a_part_of_a_turn_counts():
    turns = take_turns({"all": lambda: time.sleep(0.01), "part": lambda: Counted(5.0)}, 2)
    assert turns["part"].seconds == (5.0, 5.0)
    assert turns["all"].median < 5


def test_times_the_first():
    turns = take_turns({"short": lambda: time.sleep(0.02), "long": lambda: time.sleep(0.06)}, 3)
    assert turns["short"].times_first == 1
    assert 2 < turns["long"].times_first < 4
    assert 0.05 < turns["long"].median < 0.2
