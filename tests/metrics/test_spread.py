"""Spread over seeds, and differences taken seed by seed."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfface.metrics.spread import Difference, paired_difference, spread

FIGURES = st.lists(st.floats(0, 1), min_size=2, max_size=8)


@given(FIGURES)
def test_spread_is_that_of_a_sample(figures):
    found = spread(figures)
    assert found.mean == pytest.approx(statistics.fmean(figures))
    assert found.std == pytest.approx(statistics.stdev(figures), abs=1e-12)
    assert (found.lowest, found.highest) == (min(figures), max(figures))


def test_one_figure_has_no_spread():
    assert spread([0.25]).to_json() == {
        "mean": 0.25,
        "std": None,
        "lowest": 0.25,
        "highest": 0.25,
    }


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8))
def test_differences_seed_by_seed(pairs):
    first = {seed: pair[0] for seed, pair in enumerate(pairs)}
    other = {seed: pair[1] for seed, pair in enumerate(pairs)}
    found = paired_difference(other, first)
    differences = [b - a for a, b in pairs]
    assert found.mean == pytest.approx(statistics.fmean(differences), abs=1e-12)
    error = statistics.stdev(differences) / len(pairs) ** 0.5
    assert found.standard_error == pytest.approx(error, abs=1e-12)
    assert found.num_seeds == len(pairs)


def test_only_shared_seeds_are_compared():
    assert paired_difference({1: 0.5, 2: 0.75}, {2: 0.5, 3: 0.0}) == Difference(0.25, None, 1)
    assert paired_difference({1: 0.5}, {2: 0.5}) is None
    # What a seed does to both is no part of it.
    assert paired_difference({1: 0.5, 2: 0.75}, {1: 0.25, 2: 0.5}) == Difference(0.25, 0.0, 2)
