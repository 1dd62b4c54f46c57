"""Nothing is iterated with tf.data's tuner, which can hold up the end of an iteration."""

import ast
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfface
from tests.data.small_faces import write_folder
from tfface.autotune import arrays, untuned
from tfface.data.pipeline.cache import EpochCache
from tfface.data.pipeline.epoch_order import EpochOrder
from tfface.data.pipeline.pipeline import image_pipeline
from tfface.data.records.conversion import convert
from tfface.data.sources.folder import FolderSource
from tfface.data.sources.tfrecord import DatasetSource

# Features are made of the batches of a Pipeline.
_MAY_ITERATE = {"autotune.py", "training/feature_cache.py"}


def is_untuned(dataset: tf.data.Dataset) -> bool:
    return dataset.options().autotune.enabled is False


def test_elements_are_the_same():
    dataset = tf.data.Dataset.range(10).map(lambda number: 2 * number, tf.data.AUTOTUNE)
    assert is_untuned(untuned(dataset))
    assert not is_untuned(dataset)
    np.testing.assert_array_equal(list(arrays(dataset)), 2 * np.arange(10))


@pytest.mark.parametrize("prefetch", [True, False])
@pytest.mark.parametrize("kind", ["folder", "dataset"])
def test_batches(tmp_path, kind, prefetch):
    source = FolderSource(write_folder(tmp_path / "faces", {"ann": 3, "bob": 3}))
    if kind == "dataset":
        convert([str(tmp_path / "faces")], tmp_path / "out", num_shards=1)
        source = DatasetSource(tmp_path / "out")
    order = EpochOrder(6, batch_size=2)
    pipeline = image_pipeline(source, np.arange(6), order, image_size=(8, 8))
    pipeline.prefetch = prefetch
    assert is_untuned(pipeline.epoch(0))
    # As training puts together an epoch without some of its batches.
    assert is_untuned(pipeline.epoch(0).take(1).concatenate(pipeline.epoch(0, 2)))


def test_replayed_batches():
    replay = EpochCache((1, 2, 3))
    replay.add(np.zeros((2, 3)), np.zeros(2, np.int32))
    assert is_untuned(replay.epoch())


def test_nobody_else_iterates():
    root = Path(tfface.__file__).parent
    iterating = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "as_numpy_iterator"
    }
    assert iterating == _MAY_ITERATE
