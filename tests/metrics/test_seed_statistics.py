"""Statistics over seeds and paired differences against SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tfface.metrics.seed_statistics import PairedDifference, paired_difference, seed_statistics

VALUES = st.lists(st.floats(0, 1), min_size=2, max_size=8)


# By SciPy, for values that differ by a rounding error.
@pytest.mark.filterwarnings("ignore:Precision loss occurred")
@given(VALUES)
def test_statistics_are_those_of_a_sample(values):
    found = seed_statistics(values)
    assert found.mean == pytest.approx(stats.tmean(values), abs=1e-12)
    assert found.std == pytest.approx(stats.tstd(values), abs=1e-12)
    assert (found.lowest, found.highest) == (min(values), max(values))


def test_a_single_value_has_no_deviation():
    assert seed_statistics([0.25]).to_dict() == {
        "mean": 0.25,
        "std": None,
        "lowest": 0.25,
        "highest": 0.25,
    }


@pytest.mark.filterwarnings("ignore:Precision loss occurred")
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8))
def test_paired_differences(pairs):
    reference, values = np.transpose(pairs)
    found = paired_difference(dict(enumerate(values)), dict(enumerate(reference)))
    assert found.num_seeds == len(pairs)
    assert found.standard_error == pytest.approx(stats.sem(values - reference), abs=1e-12)
    # The interval of the paired t-test has the same center and standard error.
    test = stats.ttest_rel(values, reference)
    half = stats.t.ppf(0.975, test.df) * found.standard_error
    expected = test.confidence_interval(0.95)
    assert found.mean - half == pytest.approx(expected.low, abs=1e-12)
    assert found.mean + half == pytest.approx(expected.high, abs=1e-12)


def test_only_shared_seeds_are_compared():
    assert paired_difference({1: 0.5, 2: 0.75}, {2: 0.5, 3: 0.0}) == PairedDifference(0.25, None, 1)
    assert paired_difference({1: 0.5}, {2: 0.5}) is None
    # An effect of the seed on both cancels.
    assert paired_difference({1: 0.5, 2: 0.75}, {1: 0.25, 2: 0.5}) == PairedDifference(0.25, 0.0, 2)
