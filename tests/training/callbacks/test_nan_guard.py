"""What NaN and infinite losses and metrics do; tests/training/test_midway.py has whole runs."""

import numpy as np
import pytest

from tests.training.callbacks.made import STEPS, make_recognizer, make_stage
from tfface.errors import InputError
from tfface.training.callbacks import NanGuard
from tfface.training.callbacks.nan_guard import NonFiniteStep
from tfface.training.checkpoint_manager import CheckpointManager
from tfface.training.run_progress import RunProgress
from tfface.training.stage_task import StageTask


class Train:
    def file_names(self, epoch, step):
        return [f"{epoch}-{step}-{image}.jpg" for image in range(10)]


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory):
    return make_recognizer(tmp_path_factory.mktemp("recognizer"))


@pytest.fixture
def make(tmp_path, recognizer):
    """Returns (guard, progress, checkpoints) after the epoch's begin."""

    def make(action="stop", **progress):
        recognizer.reset_metrics()
        progress = RunProgress(**progress)
        manager = CheckpointManager(tmp_path / "checkpoints")
        task = StageTask(recognizer, Train(), None)
        stage = make_stage(tmp_path)
        guard = NanGuard(action, recognizer, stage, task, progress, manager)
        guard.set_model(recognizer)
        guard.set_params({"steps": STEPS})
        guard.on_epoch_begin(0)
        return guard, progress, manager

    return make


def count(recognizer, *losses: float) -> None:
    for loss in losses:
        recognizer.nonfinite.update_state(loss, np.zeros(1, "float32"))


def test_finite_steps(make, recognizer):
    guard, progress, _ = make()
    count(recognizer, 1.0, 2.0)
    progress.finish_step(1)
    guard.check()


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_the_first_bad_step_is_named(make, recognizer, loss):
    guard, progress, _ = make()
    count(recognizer, 1.0, loss, loss)
    progress.finish_step(2)
    with pytest.raises(NonFiniteStep, match="step 1: loss") as raised:
        guard.check()
    assert raised.value.step == 1


def test_steps_are_looked_at_every_ten(make, recognizer):
    guard, progress, _ = make()
    count(recognizer, np.nan)
    progress.finish_step(8)
    guard.on_train_batch_end(8, {"nonfinite": 1.0})
    progress.finish_step(9)
    with pytest.raises(NonFiniteStep, match="step 0: loss"):
        guard.on_train_batch_end(9, {"nonfinite": 1.0})


def test_skipped_steps_are_reported_once(make, recognizer, capsys):
    guard, progress, _ = make("skip")
    count(recognizer, 1.0, np.nan)
    progress.finish_step(1)
    guard.check()
    guard.check()
    said = capsys.readouterr().out
    assert said.count("the loss of step 2 is NaN or infinite") == 1
    assert "0-1-0.jpg" in said
    assert "0-1-7.jpg, and 2 more; the step was skipped\n" in said


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_metrics_of_an_epoch(make, value):
    guard, *_ = make()
    guard.on_epoch_end(0, {"loss": 1.0})
    with pytest.raises(
        InputError, match=r"head 1/1: val_loss became .*\. Training stopped before the first"
    ):
        guard.on_epoch_end(0, {"loss": 1.0, "val_loss": value})


class TestRecovery:
    def test_stop(self, make):
        guard, *_ = make("stop")
        with pytest.raises(InputError, match=r"of step 4 is NaN.*before the first checkpoint\."):
            guard.recover(NonFiniteStep(3, "gradient"))

    def test_restore(self, make, recognizer, capsys):
        guard, progress, manager = make("restore", total_steps=2, step=2)
        manager.save(recognizer, progress)
        progress.finish_step(4)
        guard.recover(NonFiniteStep(3, "loss"))
        assert (progress.step, progress.total_steps, progress.left_out) == (2, 2, [(0, 3)])
        assert "continuing from step 2 of epoch 1 without this batch" in capsys.readouterr().out

    def test_too_many(self, make):
        guard, *_ = make("restore", left_out=[(0, step) for step in range(10)])
        with pytest.raises(InputError, match="10 batches have been left out before it"):
            guard.recover(NonFiniteStep(3, "loss"))
