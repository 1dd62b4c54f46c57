"""Orders of pairs, and the folds that they make."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tfface.data.pairs.folds import (
    fold_indices,
    folds_have_both_labels,
    interleave_by_label,
    order_by_fold,
)
from tfface.metrics.k_fold import split_folds


def test_interleaved():
    assert interleave_by_label([True, True, False, False]).tolist() == [0, 2, 1, 3]
    assert interleave_by_label([True, True, True, True, False, False]).tolist() == [
        0,
        4,
        1,
        2,
        5,
        3,
    ]
    assert interleave_by_label([True, True]).tolist() == [0, 1]
    assert interleave_by_label([]).tolist() == []


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 6))
def test_in_turn_is_even_and_keeps_the_order_of_each_kind(is_genuine, num_folds):
    is_genuine = np.array(is_genuine)
    order = interleave_by_label(is_genuine)
    assert sorted(order) == list(range(len(is_genuine)))
    for kind in (True, False):
        places = order[is_genuine[order] == kind]
        assert places.tolist() == sorted(places)
    share = is_genuine.mean()
    for stop in range(1, len(order) + 1):
        assert abs(np.count_nonzero(is_genuine[order[:stop]]) - share * stop) <= 1


def test_hold_both_kinds():
    assert folds_have_both_labels(np.array([True, False, False, True]), 2)
    assert not folds_have_both_labels(np.array([True, True, False, False]), 2)
    assert not folds_have_both_labels(np.array([True, False]), 3)


@given(st.integers(1, 50), st.integers(1, 8))
def test_fold_indices_are_those_of_the_split(num_pairs, num_folds):
    numbers = fold_indices(num_pairs, num_folds)
    for number, fold in enumerate(split_folds(np.arange(num_pairs), num_folds)):
        assert np.flatnonzero(numbers == number).tolist() == fold.tolist()


@given(st.integers(1, 50), st.integers(1, 8), st.randoms())
def test_shuffled_folds_come_back_in_order(num_pairs, num_folds, random):
    numbers = fold_indices(num_pairs, num_folds)
    places = list(range(num_pairs))
    random.shuffle(places)
    order = order_by_fold(numbers[places])
    np.testing.assert_array_equal(numbers[places][order], numbers)


def test_folds_with_one_pair_more_come_first():
    assert order_by_fold(np.array([7, 3, 7])).tolist() == [0, 2, 1]
    assert order_by_fold(np.array([7, 3, 3, 3])) is None
