"""A user's own Keras callbacks in a run: which events they get, and what they may do."""

import keras
import numpy as np
import pytest

from tests.training.recipes import ONE_STAGE, load_tiny, newest_checkpoint
from tests.training.test_midway import assert_same_run, signal_after_step
from tests.training.test_resume import records
from tfface.training.callbacks.preemption import TrainingInterrupted
from tfface.training.recognizer import Recognizer
from tfface.training.run import train
from tfface.training.run_progress import RunProgress
from tfface.training.stage_task import StageTask


class Recorder(keras.callbacks.Callback):
    """Notes all events."""

    def __init__(self):
        super().__init__()
        self.events = []
        self.logs = []

    def on_train_begin(self, logs=None):
        assert isinstance(self.model, Recognizer)
        self.events.append(("train", self.params["epochs"], self.params["steps"]))

    def on_train_end(self, logs=None):
        self.events.append("end")

    def on_epoch_begin(self, epoch, logs=None):
        self.events.append(("epoch", epoch))

    def on_epoch_end(self, epoch, logs=None):
        self.events.append(("epoch end", epoch))
        self.logs.append(logs)

    def on_train_batch_begin(self, batch, logs=None):
        self.events.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        assert self.events[-1] == batch
        assert np.isfinite(logs["loss"])

    def on_test_begin(self, logs=None):
        self.events.append("test")

    def on_test_end(self, logs=None):
        assert self.events[-1] == "test"


def epoch(number: int, first_step: int = 0) -> list:
    """All events of an epoch of three steps."""
    return [("epoch", number), *range(first_step, 3), "test", ("epoch end", number)]


def test_events_of_all_stages(tmp_path):
    recorder = Recorder()
    result = train(load_tiny(tmp_path), tmp_path / "run", tmp_path, callbacks=[recorder])
    assert recorder.events == [
        ("train", 1, 3),
        *epoch(0),
        "end",
        # Epochs are counted through all stages, as `fit` does with `initial_epoch`.
        ("train", 3, 3),
        *epoch(1),
        *epoch(2),
        "end",
    ]
    for logs, record in zip(recorder.logs, records(result.path), strict=True):
        assert set(logs) == {"loss", "accuracy", "val_loss", "val_accuracy"}
        assert logs.items() <= record.items()
    assert result.metrics["val_loss"] == recorder.logs[-1]["val_loss"]


def test_events_of_an_epoch_that_is_resumed(tmp_path):
    recipe = load_tiny(tmp_path, *ONE_STAGE, "training.stages.0.epochs=2")
    without = train(recipe, tmp_path / "without", tmp_path)
    with pytest.raises(TrainingInterrupted, match="SIGTERM"):
        train(recipe, tmp_path / "run", tmp_path, callbacks=[signal_after_step(5)])
    recorder = Recorder()
    run = train(recipe, tmp_path / "run", tmp_path, resume=True, callbacks=[recorder])
    assert recorder.events == [("train", 2, 3), *epoch(1, first_step=2), "end"]
    assert_same_run(run.path, without.path)


@pytest.mark.parametrize("frozen", [pytest.param(False, marks=pytest.mark.slow), True])
def test_keras_early_stopping_ends_the_stage(tmp_path, frozen):
    """Also where a stage trains the end of the network on cached features."""
    overrides = ["data.augment=[]", "training.stages.0.epochs=5", "training.stages.1.epochs=1"]
    if frozen:
        overrides.append("data.cache=features")
    # Nothing is so much better.
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=1e9)
    recipe = load_tiny(tmp_path, *overrides)
    found = records(train(recipe, tmp_path / "run", tmp_path, callbacks=[stopping]).path)
    assert [record["stage"] for record in found] == ["head", "head", "all"]
    assert [record.get("ended_by") for record in found] == [None, "callbacks", None]


def test_best_weights_that_a_callback_restores_are_those_of_the_run(tmp_path):
    recipe = load_tiny(tmp_path, *ONE_STAGE, "training.stages.0.epochs=2")
    best = keras.callbacks.EarlyStopping(
        "val_loss", mode="max", patience=9, restore_best_weights=True
    )
    run = train(recipe, tmp_path / "run", tmp_path, callbacks=[best]).path
    saved = keras.saving.load_model(run / "model.keras")
    for found, kept in zip(saved.get_weights(), best.best_weights, strict=False):
        np.testing.assert_array_equal(found, kept)


def test_stop_within_an_epoch(tmp_path):
    recipe = load_tiny(tmp_path, *ONE_STAGE, "training.stages.0.epochs=3")

    class Stop(Recorder):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                self.model.stop_training = True

    stop = Stop()
    run = train(recipe, tmp_path / "run", tmp_path, callbacks=[stop]).path
    assert stop.events == [("train", 3, 3), ("epoch", 0), 0, 1, "test", ("epoch end", 0), "end"]
    [record] = records(run)
    assert (record["epoch"], record["step"], record["ended_by"]) == (1, 2, "callbacks")
    assert "-step-2-" in newest_checkpoint(run).name


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    board = keras.callbacks.TensorBoard(tmp_path / "board")
    train(load_tiny(tmp_path, *ONE_STAGE), tmp_path / "run", tmp_path, callbacks=[board])
    assert {path.parent.name for path in (tmp_path / "board").rglob("events.*")} == {
        "train",
        "validation",
    }


@pytest.mark.parametrize("positions", [[0, 1, 2, 3, 4], [2, 3, 4], [0, 2, 3], [1], [0, 2, 4]])
def test_batches_at_positions(positions):
    import tensorflow as tf

    class Train:
        steps_per_epoch = 5

        def epoch(self, epoch, first_step):
            return tf.data.Dataset.range(10 * epoch + first_step, 10 * epoch + 5)

    batches = StageTask(None, Train(), None).batches(3, positions)
    found = [int(batch) for batch in batches.as_numpy_iterator()]
    assert found == [30 + position for position in positions]


class TestProgress:
    def test_counts(self):
        progress = RunProgress(left_out=[(0, 2), (1, 0)])
        assert progress.remaining_steps(4) == [0, 1, 3]
        progress.finish_step(1)
        assert progress.remaining_steps(4) == [3]
        progress.finish_step(3)
        assert (progress.step, progress.total_steps) == (4, 4)
        progress.finish_epoch()
        assert progress.remaining_steps(4) == [1, 2, 3]
        progress.start_stage(1)
        assert progress == RunProgress(
            stage=1, total_epochs=1, total_steps=4, left_out=[(0, 2), (1, 0)]
        )

    def test_another_batch_size(self):
        progress = RunProgress(total_epochs=2, step=3, total_steps=23, batch_size=8, metrics=[0.5])
        assert not progress.change_batch_size(8, 10)
        assert progress.change_batch_size(4, 20)
        assert (progress.step, progress.total_steps, progress.metrics) == (6, 46, [])
