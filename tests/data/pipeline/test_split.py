"""Properties of the splits."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tfface.data.pipeline.split import (
    most_of_each,
    split_by_identity,
    split_by_image,
    split_into_parts,
)
from tfface.errors import InputError

LABELS = st.lists(st.integers(0, 12), min_size=1, max_size=150).map(np.array)
FRACTION = st.floats(0.01, 0.99)
SEED = st.integers(0, 2**40)


@given(LABELS, FRACTION, SEED)
def test_by_image(labels, fraction, seed):
    counts = np.bincount(labels)
    assume(round(fraction * counts[counts > 1].sum()) > 0)
    train, validation = split_by_image(labels, fraction, seed)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()
    given_away = np.bincount(labels[validation], minlength=len(counts))
    # An identity keeps an image, and gives its share, rounded down or up.
    assert (given_away <= np.maximum(counts - 1, 0)).all()
    share = counts * fraction
    assert (given_away >= np.where(counts > 1, np.minimum(np.floor(share), counts - 1), 0)).all()
    assert (given_away <= np.ceil(share)).all()
    again = split_by_image(labels, fraction, seed)
    np.testing.assert_array_equal(again[1], validation)


def test_by_image_takes_the_fraction_of_all():
    labels = np.repeat(np.arange(500), 4)
    _, validation = split_by_image(labels, 0.2, 3)
    assert len(validation) == 400
    # 0.8 images each: some identities must do without, others give one.
    assert np.bincount(np.bincount(labels[validation], minlength=500)).tolist() == [100, 400]


def test_by_image_depends_on_the_seed_only():
    labels = np.repeat(np.arange(50), 10)
    first, second = (split_by_image(labels, 0.3, seed)[1] for seed in (1, 2))
    assert first.tolist() != second.tolist()
    np.random.seed(5)
    np.testing.assert_array_equal(split_by_image(labels, 0.3, 1)[1], first)


def test_the_split_of_a_seed_never_changes():
    assert split_by_image(np.repeat([0, 1, 2], 5), 0.4, 7)[1].tolist() == GOLDEN_BY_IMAGE
    assert split_by_identity(np.repeat(np.arange(8), 2), 0.4, 7)[1].tolist() == GOLDEN_BY_IDENTITY


GOLDEN_BY_IMAGE = [1, 4, 7, 8, 10, 11]
GOLDEN_BY_IDENTITY = [0, 1, 2, 3, 10, 11]


def test_by_image_without_an_image_to_give():
    with pytest.raises(InputError, match=r"fraction of 0\.5 of 3 images of 3 identities leaves"):
        split_by_image(np.arange(3), 0.5, 0)


@given(LABELS, FRACTION, SEED)
def test_by_identity(labels, fraction, seed):
    assume(len(set(labels)) > 1)
    train, validation = split_by_identity(labels, fraction, seed)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert not set(labels[train]) & set(labels[validation])
    assert len(train) > 0
    assert len(validation) > 0
    wanted = round(fraction * len(set(labels)))
    assert len(set(labels[validation])) == min(max(wanted, 1), len(set(labels)) - 1)


def test_by_identity_needs_two():
    with pytest.raises(InputError, match="needs at least 2 identities, and there are 1"):
        split_by_identity(np.zeros(5, int), 0.5, 0)


@pytest.mark.parametrize("split", [split_by_image, split_by_identity])
@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_fraction_out_of_range(split, fraction):
    with pytest.raises(InputError, match="between 0 and 1"):
        split(np.repeat([0, 1], 4), fraction, 0)


FRACTIONS = st.lists(st.floats(0.05, 1), min_size=2, max_size=4)


@given(LABELS, FRACTIONS, SEED)
def test_into_parts(labels, fractions, seed):
    counts = np.bincount(labels)
    parts = split_into_parts(labels, fractions, seed)
    assert len(parts) == len(fractions)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    shares = np.array(fractions) / sum(fractions)
    # Who has a single image keeps it.
    to_share = counts[counts > 1].sum()
    # Everybody keeps an image in the first part, where its share may be less; others then lack it.
    kept = np.maximum(1 - counts[counts > 1] * shares[0], 0).sum()
    for number, (part, share) in enumerate(zip(parts, shares, strict=True)):
        assert (np.diff(part) > 0).all()
        given_to = np.bincount(labels[part], minlength=len(counts))
        # Each round of sharing rounds once, by less than an image of each identity and in all.
        assert (np.abs(given_to - counts * share)[counts > 1] <= number + 1.0 + 1e-6).all()
        if number:
            assert abs(len(part) - to_share * share) <= number + 1 + kept
    assert set(labels[parts[0]]) == set(labels)


@given(LABELS, FRACTION, SEED)
def test_the_first_part_is_what_validation_leaves(labels, fraction, seed):
    counts = np.bincount(labels)
    assume(round(fraction * counts[counts > 1].sum()) > 0)
    train, validation = split_by_image(labels, fraction, seed)
    first, second = split_into_parts(labels, [1 - fraction, fraction], seed)
    # But for the last digit of 1 - fraction.
    assert len(first) == pytest.approx(len(train), abs=1)
    assert len(second) == pytest.approx(len(validation), abs=1)


def test_parts_of_many_identities_have_their_shares():
    labels = np.repeat(np.arange(100), 14)
    parts = split_into_parts(labels, [0.7, 0.2, 0.1], 112)
    assert [len(part) for part in parts] == [980, 280, 140]
    for part, low, high in zip(parts, (9, 2, 1), (10, 3, 2), strict=True):
        of_each = np.bincount(labels[part], minlength=100)
        assert of_each.min() >= low
        assert of_each.max() <= high


def test_shares_that_are_whole_numbers_stay_so():
    labels = np.repeat(np.arange(7), 10)
    parts = split_into_parts(labels, [0.7, 0.2, 0.1], 5)
    assert [np.bincount(labels[part]).tolist() for part in parts] == [[7] * 7, [2] * 7, [1] * 7]


@given(LABELS, st.integers(1, 6), SEED)
def test_so_many_images_of_each_in_the_first_part(labels, count, seed):
    counts = np.bincount(labels)
    few, rest = split_into_parts(labels, [1], seed, count)
    assert np.bincount(labels[few]).tolist() == np.minimum(counts, count).tolist()
    assert sorted([*few, *rest]) == list(range(len(labels)))
    more, _, _ = split_into_parts(labels, [0.5, 0.5], seed, count + 1)
    assert set(few) <= set(more)


@given(LABELS, st.integers(1, 6), SEED)
def test_most_of_each(labels, count, seed):
    taken = most_of_each(labels, count, seed)
    assert np.bincount(labels[taken]).tolist() == np.minimum(np.bincount(labels), count).tolist()
    assert set(taken) <= set(most_of_each(labels, count + 1, seed))


def test_the_parts_of_a_seed_never_change():
    parts = split_into_parts(np.repeat([0, 1, 2], 5), [0.6, 0.2, 0.2], 7)
    assert [part.tolist() for part in parts] == GOLDEN_PARTS


GOLDEN_PARTS = [[0, 2, 3, 5, 6, 9, 12, 13, 14], [1, 8, 10], [4, 7, 11]]
