"""Parts of batches, made by several processes: together they are the batches of one."""

import numpy as np
import pytest

from tests.data.pipeline.test_pipeline import NUM_IMAGES, dataset, folder, make, source, stages  # noqa: F401
from tfface.data.augment import AUGMENTATIONS
from tfface.data.pipeline.epoch_order import BatchShard
from tfface.errors import InputError


def parts_of(source, count: int, **options):  # noqa: F811
    """For each step, what the parts' arrays make when they are put together."""
    epochs = [
        make(source, shard=BatchShard(index, count), **options).epoch(1).as_numpy_iterator()
        for index in range(count)
    ]
    return [
        tuple(map(np.concatenate, zip(*parts, strict=True))) for parts in zip(*epochs, strict=True)
    ]


def assert_same(found, expected):
    assert len(found) == len(expected) > 0
    for ours, theirs in zip(found, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("cache", [pytest.param("none", marks=pytest.mark.slow), "memory"])
def test_together_they_are_the_whole(source, cache, count):  # noqa: F811
    options = {"cache": cache, "augment": stages()}
    whole = [*make(source, **options).epoch(1).as_numpy_iterator()]
    assert_same(parts_of(source, count, **options), whole)


def test_batches_of_identities(folder):  # noqa: F811
    options = {"samples_per_identity": 2}
    whole = [*make(folder, **options).epoch(1).as_numpy_iterator()]
    assert_same(parts_of(folder, 2, **options), whole)


@pytest.mark.parametrize("cache", [pytest.param("none", marks=pytest.mark.slow), "memory"])
def test_the_last_batch_is_filled(source, cache):  # noqa: F811
    options = {"cache": cache, "shuffle": False, "last_batch": "keep"}
    plain = [*make(source, **options).epoch(1).as_numpy_iterator()]
    filled = [*make(source, **{**options, "last_batch": "fill"}).epoch(1).as_numpy_iterator()]
    assert [len(labels) for _, labels in plain] == [4] * 5 + [3]
    assert [len(labels) for _, labels, _ in filled] == [4] * 6
    for (images, labels), (more_images, more_labels, weights) in zip(plain, filled, strict=True):
        np.testing.assert_array_equal(more_images[: len(images)], images)
        np.testing.assert_array_equal(more_labels[: len(labels)], labels)
        np.testing.assert_array_equal(weights[: len(images)], np.float32(24 / NUM_IMAGES))
        np.testing.assert_array_equal(weights[len(images) :], 0)
    assert_same(parts_of(source, 2, **{**options, "last_batch": "fill"}), filled)


def test_fewer_images_than_a_batch(folder):  # noqa: F811
    """A part may then have none of its own."""
    options = {"indices": np.arange(3), "batch_size": 8, "shuffle": False, "last_batch": "fill"}
    [(_, labels, weights)] = parts_of(folder, 2, **options)
    assert len(labels) == 8
    np.testing.assert_allclose(weights, [8 / 3] * 3 + [0] * 5, rtol=1e-6)


def test_goes_on_in_the_middle(folder):  # noqa: F811
    pipeline = make(folder, shard=BatchShard(1, 2), augment=stages())
    whole = [*pipeline.epoch(1).as_numpy_iterator()]
    assert_same([*pipeline.epoch(1, first_step=2).as_numpy_iterator()], whole[2:])


def test_batches_that_can_not_be_divided(folder):  # noqa: F811
    with pytest.raises(InputError, match="a batch of 4 can't be divided among 3 processes"):
        make(folder, shard=BatchShard(0, 3))


@pytest.mark.parametrize("name", ["mixup", "cutmix", "one_class_cutmix"])
def test_images_of_several_need_the_whole(folder, name):  # noqa: F811
    stage = AUGMENTATIONS[name](**({"alpha": 1.0} if name == "mixup" else {}))
    make(folder, augment=[stage])
    with pytest.raises(InputError, match="mix the images of a whole batch"):
        make(folder, augment=[stage], shard=BatchShard(0, 2))
