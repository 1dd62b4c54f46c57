"""Spread over seeds, and differences taken seed by seed, against SciPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tfface.metrics.seed_statistics import Difference, paired_difference, spread

FIGURES = st.lists(st.floats(0, 1), min_size=2, max_size=8)


# SciPy's, where figures are equal but for a rounding.
@pytest.mark.filterwarnings("ignore:Precision loss occurred")
@given(FIGURES)
def test_spread_is_that_of_a_sample(figures):
    found = spread(figures)
    assert found.mean == pytest.approx(stats.tmean(figures), abs=1e-12)
    assert found.std == pytest.approx(stats.tstd(figures), abs=1e-12)
    assert (found.lowest, found.highest) == (min(figures), max(figures))


def test_one_figure_has_no_spread():
    assert spread([0.25]).to_json() == {
        "mean": 0.25,
        "std": None,
        "lowest": 0.25,
        "highest": 0.25,
    }


@pytest.mark.filterwarnings("ignore:Precision loss occurred")
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8))
def test_differences_seed_by_seed(pairs):
    reference, figures = np.transpose(pairs)
    found = paired_difference(dict(enumerate(figures)), dict(enumerate(reference)))
    assert found.num_seeds == len(pairs)
    assert found.standard_error == pytest.approx(stats.sem(figures - reference), abs=1e-12)
    # A t-test of pairs has its interval about the same mean, by the same standard error.
    test = stats.ttest_rel(figures, reference)
    half = stats.t.ppf(0.975, test.df) * found.standard_error
    expected = test.confidence_interval(0.95)
    assert found.mean - half == pytest.approx(expected.low, abs=1e-12)
    assert found.mean + half == pytest.approx(expected.high, abs=1e-12)


def test_only_shared_seeds_are_compared():
    assert paired_difference({1: 0.5, 2: 0.75}, {2: 0.5, 3: 0.0}) == Difference(0.25, None, 1)
    assert paired_difference({1: 0.5}, {2: 0.5}) is None
    # What a seed does to both is no part of it.
    assert paired_difference({1: 0.5, 2: 0.75}, {1: 0.25, 2: 0.5}) == Difference(0.25, 0.0, 2)
