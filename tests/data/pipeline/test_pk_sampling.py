"""Batches of identities: what each holds, and that a key decides it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.property_tests import examples
from tfface.data.pipeline.pk_sampling import draw_identity_batches


def batches(labels, num_identities, images_per_identity, num_batches, key=1):
    found = draw_identity_batches(labels, num_identities, images_per_identity, num_batches, key)
    return found.reshape(num_batches, num_identities, images_per_identity)


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=12),
    st.integers(1, 12),
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(0, 2**63),
)
@examples(60)
def test_what_a_batch_holds(counts, num_identities, per_identity, num_batches, key):
    num_identities = min(num_identities, len(counts))
    labels = np.repeat(np.arange(len(counts)) * 7, counts)
    labels = labels[np.random.default_rng(0).permutation(len(labels))]
    found = batches(labels, num_identities, per_identity, num_batches, key)
    for batch in found:
        identities = labels[batch]
        assert (identities == identities[:, :1]).all()
        assert len(set(identities[:, 0])) == num_identities
        for images in batch:
            there = np.count_nonzero(labels == labels[images[0]])
            # Repeated only by those with fewer images, and then all of them alike.
            times = np.unique(images, return_counts=True)[1]
            assert len(times) == min(per_identity, there)
            assert times.max() - times.min() <= 1
    shorter = batches(labels, num_identities, per_identity, 1, key)
    np.testing.assert_array_equal(found[:1], shorter)


def test_all_identities_have_the_same_chance():
    """However many images they have; the difference is never more than rounds that left one out."""
    labels = np.repeat(np.arange(10), np.arange(1, 11) ** 2)
    found = batches(labels, 3, 2, 300)
    counts = np.bincount(labels[found[..., 0]].ravel())
    assert counts.sum() == 900
    # Nine of ten in each of 100 rounds.
    assert counts.min() >= 80
    assert counts.max() <= 100
    for start in range(0, 300, 3):
        assert len(np.unique(labels[found[start : start + 3, :, 0]])) == 9


def test_all_images_of_an_identity_come_before_any_comes_again():
    labels = np.repeat(np.arange(4), [5, 6, 7, 8])
    found = batches(labels, 4, 2, 40)
    for identity, count in enumerate([5, 6, 7, 8]):
        images = found[labels[found] == identity]
        assert len(images) == 80
        for start in range(0, 80 - count, count):
            assert len(set(images[start : start + count])) == count


def test_keys_give_other_batches():
    labels = np.repeat(np.arange(6), 5)
    found = {batches(labels, 2, 3, 4, key).tobytes() for key in range(20)}
    assert len(found) == 20


def test_many_identities_take_no_time():
    labels = np.random.default_rng(0).integers(0, 20_000, 500_000)
    found = batches(labels, 32, 4, 500_000 // 128)
    assert found.shape == (3906, 32, 4)
