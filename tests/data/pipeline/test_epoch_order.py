"""The order of epochs: which image is at which position, and that (seed, epoch) decides it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property_tests import examples
from tfface.data.pipeline.epoch_order import BatchShard, EpochOrder, PKOrder, pk_positions
from tfface.errors import InputError


@pytest.mark.parametrize(
    ("last_batch", "num_steps", "num_positions"),
    [("drop", 3, 11), ("keep", 4, 11), ("fill", 4, 12)],
)
def test_last_batch(last_batch, num_steps, num_positions):
    order = EpochOrder(11, 3, seed=5, last_batch=last_batch)
    assert order.steps_per_epoch == num_steps
    positions = order.shard_positions(2)
    assert len(positions) == num_positions
    # What fills the last batch has been in the epoch before.
    assert sorted(positions[:11]) == list(range(11))
    resumed = order.shard_positions(2, first_step=2)
    np.testing.assert_array_equal(resumed[:5], positions[6:11])
    assert len(resumed) == num_positions - 6


def test_seed_and_epoch_decide():
    orders = {
        (seed, epoch): tuple(EpochOrder(9, 3, seed=seed).positions(epoch))
        for seed in range(2)
        for epoch in range(2)
    }
    assert len(set(orders.values())) == 4
    assert orders[0, 1] == tuple(EpochOrder(9, 3, seed=0).positions(1))


def test_without_shuffling():
    order = EpochOrder(7, 3, shuffle=False, last_batch="keep")
    assert order.positions(4).tolist() == list(range(7))


@pytest.mark.parametrize(
    "order", [EpochOrder, lambda n, b, **more: PKOrder([0, 1] * (n // 2), b, 2, **more)]
)
def test_shards_are_the_rows_of_the_whole(order):
    whole = order(16, 4, seed=3).shard_positions(1).reshape(-1, 4)
    shards = [
        order(16, 4, seed=3, shard=BatchShard(index, 2)).shard_positions(1) for index in range(2)
    ]
    np.testing.assert_array_equal(
        np.concatenate([shard.reshape(-1, 2) for shard in shards], axis=1), whole
    )


def test_weights_are_one_on_average():
    weights = EpochOrder(5, 4, last_batch="fill").weights()
    assert weights.mean() == pytest.approx(1)
    assert (weights.ravel()[:5] > 0).all()
    assert (weights.ravel()[5:] == 0).all()


def test_nothing_to_order():
    for make in (lambda: EpochOrder(0, 4), lambda: PKOrder(np.array([], int), 4, 2)):
        with pytest.raises(InputError, match="there are no images to make batches of"):
            make()


def pk_batches(labels, num_identities, images_per_identity, num_batches, key=1):
    found = pk_positions(labels, num_identities, images_per_identity, num_batches, key)
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
    found = pk_batches(labels, num_identities, per_identity, num_batches, key)
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
    shorter = pk_batches(labels, num_identities, per_identity, 1, key)
    np.testing.assert_array_equal(found[:1], shorter)


def test_all_identities_have_the_same_chance():
    """However many images they have; the difference is never more than rounds that left one out."""
    labels = np.repeat(np.arange(10), np.arange(1, 11) ** 2)
    found = pk_batches(labels, 3, 2, 300)
    counts = np.bincount(labels[found[..., 0]].ravel())
    assert counts.sum() == 900
    # Nine of ten in each of 100 rounds.
    assert counts.min() >= 80
    assert counts.max() <= 100
    for start in range(0, 300, 3):
        assert len(np.unique(labels[found[start : start + 3, :, 0]])) == 9


def test_all_images_of_an_identity_come_before_any_comes_again():
    labels = np.repeat(np.arange(4), [5, 6, 7, 8])
    found = pk_batches(labels, 4, 2, 40)
    for identity, count in enumerate([5, 6, 7, 8]):
        images = found[labels[found] == identity]
        assert len(images) == 80
        for start in range(0, 80 - count, count):
            assert len(set(images[start : start + count])) == count


def test_keys_give_other_batches():
    labels = np.repeat(np.arange(6), 5)
    found = {pk_batches(labels, 2, 3, 4, key).tobytes() for key in range(20)}
    assert len(found) == 20


def test_many_identities_take_no_time():
    labels = np.random.default_rng(0).integers(0, 20_000, 500_000)
    found = pk_batches(labels, 32, 4, 500_000 // 128)
    assert found.shape == (3906, 32, 4)
