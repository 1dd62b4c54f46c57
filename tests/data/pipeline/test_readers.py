"""Readers: which images they give for an order, from a source, from records and from an array."""

import numpy as np
import pytest
import tensorflow as tf

from tests.data.small_faces import write_folder
from tfface.data.pipeline.epoch_order import BatchShard, EpochOrder
from tfface.data.pipeline.readers import ArrayReader, IndexedReader, StreamedReader
from tfface.data.records.conversion import convert
from tfface.data.sources.folder import FolderSource
from tfface.data.sources.tfrecord import DatasetSource
from tfface.images.decoding import decode

SIZE = (8, 8)
INDICES = np.array([6, 1, 4, 2, 5])
ORDER = EpochOrder(5, 2, seed=3, last_batch="keep")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return FolderSource(write_folder(tmp_path_factory.mktemp("faces"), {"ann": 3, "bob": 4}))


@pytest.fixture(scope="module")
def records(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("dataset") / "out"
    convert([folder._root.decode()], output, num_shards=2)
    return DatasetSource(output)


@pytest.fixture(params=["indexed", "streamed", "array"])
def reader(request, folder, records):
    if request.param == "indexed":
        return IndexedReader(folder, INDICES, SIZE)
    if request.param == "streamed":
        return StreamedReader(records, INDICES, SIZE)
    return ArrayReader(folder, INDICES, lambda: images_of(folder, INDICES))


def images_of(source, indices):
    return np.stack([decode(tf.constant(source.read(i).encoded), *SIZE) for i in indices])


def read(reader, order, epoch, first_step=0):
    """The indices and the images of each batch."""
    batches = reader.batches(order, epoch, first_step)
    return [(indices.numpy(), reader.load(data).numpy()) for indices, data in batches]


def test_reads_each_image_of_the_order(reader):
    batches = read(reader, ORDER, 1)
    assert [len(indices) for indices, _ in batches] == [2, 2, 1]
    assert sorted(np.concatenate([indices for indices, _ in batches])) == sorted(INDICES)
    for step, (indices, images) in enumerate(batches):
        np.testing.assert_array_equal(images, images_of(reader.source, indices))
        np.testing.assert_array_equal(reader.batch_indices(ORDER, 1, step), indices)


def test_starts_at_any_step(reader):
    whole, rest = read(reader, ORDER, 1), read(reader, ORDER, 1, first_step=1)
    assert len(rest) == 2
    for ours, theirs in zip(rest, whole[1:], strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_a_shard_reads_its_rows(reader):
    whole = read(reader, EpochOrder(5, 2, last_batch="fill"), 0)
    shard = EpochOrder(5, 2, last_batch="fill", shard=BatchShard(1, 2))
    for (indices, _), (expected, _) in zip(read(reader, shard, 0), whole, strict=True):
        np.testing.assert_array_equal(indices, expected[1:])


def test_each_image_once(reader):
    found = {}
    for positions, images in reader.each_image(3):
        found.update(zip(positions.tolist(), images, strict=True))
    expected = images_of(reader.source, INDICES)
    np.testing.assert_array_equal([found[position] for position in range(5)], expected)


def test_an_array_is_made_once(folder):
    made = []

    def make_array():
        made.append(1)
        return np.arange(10, dtype=np.float32).reshape(5, 2)

    reader = ArrayReader(folder, INDICES, make_array)
    assert not made
    for _ in range(2):
        [(_, first), *_] = read(reader, EpochOrder(5, 2, shuffle=False), 0)
        np.testing.assert_array_equal(first, [[0, 1], [2, 3]])
    assert len(made) == 1
