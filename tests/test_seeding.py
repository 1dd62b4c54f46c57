"""Seeded orders: golden values, because a run must go on with the same batches after an update."""

import numpy as np

from tfface import seeding


def test_golden_values():
    assert seeding.fold(112, 3) == GOLDEN_FOLD
    assert seeding.words(5, 2).tolist() == GOLDEN_WORDS
    assert seeding.permutation(5, 8).tolist() == GOLDEN_PERMUTATION


GOLDEN_FOLD = 12228446911177103450
GOLDEN_WORDS = [13535223855206698129, 10893183200674769480]
GOLDEN_PERMUTATION = [2, 4, 3, 1, 5, 0, 6, 7]


def test_fold_tells_its_values_apart():
    keys = {seeding.fold(*values) for values in ((0,), (1,), (0, 1), (1, 0), (0, 0, 1))}
    assert len(keys) == 5


def test_permutation_holds_every_number():
    assert sorted(seeding.permutation(1, 1000)) == list(range(1000))


def test_more_words_begin_alike():
    np.testing.assert_array_equal(seeding.words(9, 100)[:10], seeding.words(9, 10))
