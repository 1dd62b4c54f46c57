"""When checkpoints are written within and after epochs."""

import keras
import pytest

from tests.training.callbacks.made import STEPS, make_recognizer
from tfface.recipe.schema import CheckpointConfig
from tfface.training.callbacks import Checkpointing, Preemption
from tfface.training.callbacks.nan_guard import NonFiniteStep
from tfface.training.callbacks.preemption import PreemptionHandler, TrainingInterrupted
from tfface.training.checkpoint_manager import CheckpointManager
from tfface.training.checkpoint_state import read_progress
from tfface.training.run_progress import RunProgress


class Guard:
    """Replaces NanGuard; it finds a bad step on request."""

    is_bad = False

    def check(self):
        if self.is_bad:
            raise NonFiniteStep(0, "loss")


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory):
    return make_recognizer(tmp_path_factory.mktemp("recognizer"))


@pytest.fixture
def make(tmp_path, recognizer):
    """Returns (callbacks in a list, progress, guard, function that returns the saved steps)."""

    def make(handler=None, **config):
        progress, guard = RunProgress(), Guard()
        manager = CheckpointManager(tmp_path, keep=9)
        checkpointing = Checkpointing(
            CheckpointConfig(**config), recognizer, progress, manager, guard
        )
        callbacks = [checkpointing]
        if handler is not None:
            callbacks.append(Preemption(handler, progress, checkpointing))
        found = keras.callbacks.CallbackList(callbacks, model=recognizer, steps=STEPS)

        def saved():
            manager.wait()
            files = sorted(tmp_path.glob("checkpoint-*"))
            return [read_progress(file).total_steps for file in files]

        return found, progress, guard, saved

    return make


def make_steps(callbacks, progress, last: int) -> None:
    for step in range(progress.step, last):
        progress.finish_step(step)
        callbacks.on_train_batch_end(step, {})


def test_every_steps(make):
    callbacks, progress, _, saved = make(every_steps=8, every_minutes=None)
    callbacks.on_epoch_begin(0)
    make_steps(callbacks, progress, 16)
    assert saved() == [8, 16]


def test_the_last_step_leaves_it_to_the_epoch(make):
    callbacks, progress, _, saved = make(every_steps=10, every_minutes=None)
    callbacks.on_epoch_begin(0)
    make_steps(callbacks, progress, STEPS)
    assert saved() == [10]
    progress.finish_epoch()
    callbacks.on_epoch_end(0, {})
    assert saved() == [10, 20]


def test_every_minutes(make, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    callbacks, progress, _, saved = make(every_minutes=2)
    callbacks.on_epoch_begin(0)
    make_steps(callbacks, progress, 3)
    now[0] = 121.0
    make_steps(callbacks, progress, 6)
    assert saved() == [4]


def test_none_with_a_loss_that_is_nan(make):
    callbacks, progress, guard, saved = make(every_steps=5, every_minutes=None)
    callbacks.on_epoch_begin(0)
    guard.is_bad = True
    with pytest.raises(NonFiniteStep, match="step 0: loss"):
        make_steps(callbacks, progress, 5)
    assert saved() == []


class TestPreemption:
    def test_at_the_next_step(self, make):
        handler = PreemptionHandler()
        callbacks, progress, _, saved = make(handler, every_minutes=None)
        callbacks.on_epoch_begin(0)
        make_steps(callbacks, progress, 2)
        handler.requested = "SIGTERM"
        with pytest.raises(TrainingInterrupted, match="SIGTERM"):
            make_steps(callbacks, progress, 5)
        assert saved() == [3]

    def test_where_that_step_is_saved_already(self, make):
        handler = PreemptionHandler()
        callbacks, progress, _, saved = make(handler, every_steps=4, every_minutes=None)
        callbacks.on_epoch_begin(0)
        make_steps(callbacks, progress, 3)
        handler.requested = "SIGINT"
        with pytest.raises(TrainingInterrupted, match="SIGINT"):
            make_steps(callbacks, progress, 4)
        assert saved() == [4]

    def test_after_the_last_step_at_the_end_of_the_epoch(self, make):
        handler = PreemptionHandler()
        callbacks, progress, _, saved = make(handler, every_minutes=None)
        callbacks.on_epoch_begin(0)
        make_steps(callbacks, progress, STEPS - 1)
        handler.requested = "SIGHUP"
        make_steps(callbacks, progress, STEPS)
        assert saved() == []
        progress.finish_epoch()
        with pytest.raises(TrainingInterrupted, match="SIGHUP"):
            callbacks.on_epoch_end(0, {})
        assert saved() == [STEPS]
