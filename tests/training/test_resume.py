"""Interrupted after any epoch, a run with whatever a stage may have goes on to the same model."""

import dataclasses
import filecmp
import shutil

import keras
import numpy as np
import pytest

from tests.training.recipes import ONE_STAGE, load_tiny
from tfface.errors import InputError
from tfface.reporting.metrics_log import epoch_records, read_metrics
from tfface.training.checkpoint_manager import CheckpointManager
from tfface.training.recognizer import Recognizer
from tfface.training.run import train


@pytest.fixture
def copies(monkeypatch):
    """Copies the run folder after every epoch, as `after_1` and so on beside it."""
    save = CheckpointManager.save

    def save_and_copy(self, model, progress):
        save(self, model, progress)
        self.wait()
        folder = self._folder.parent
        if folder.name == "run":
            copy = folder.parent / f"after_{progress.total_epochs}"
            # A second time where the next stage begins.
            shutil.copytree(folder, copy, dirs_exist_ok=True)

    monkeypatch.setattr(CheckpointManager, "save", save_and_copy)


def records(run) -> list[dict]:
    times = ("epoch_seconds", "images_per_second")
    return [
        {key: value for key, value in record.items() if key not in times}
        for record in epoch_records(read_metrics(run / "metrics.jsonl"))
    ]


def assert_resumes(recipe, folder, after: list[int]):
    run = folder / "run"
    expected = keras.saving.load_model(run / "model.keras").get_weights()
    for number in after:
        resumed = train(recipe, folder / f"after_{number}", folder, resume=True).path
        found = keras.saving.load_model(resumed / "model.keras").get_weights()
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
        assert records(resumed) == records(run)


def test_a_gap_that_opens_and_averaged_weights_on_features(tmp_path, monkeypatch, copies, capsys):
    evaluate = Recognizer.evaluate

    def with_a_gap_after_epoch_1(self, *args, **kwargs):
        figures = evaluate(self, *args, **kwargs)
        accuracy = 1.0 if int(self.optimizer.iterations) == 3 else -1.0
        return figures | {"accuracy": accuracy}

    monkeypatch.setattr(Recognizer, "evaluate", with_a_gap_after_epoch_1)
    recipe = load_tiny(
        tmp_path,
        "data.cache=features",
        "data.augment=[]",
        "training.stages.0.epochs=3",
        "training.stages.0.ema_momentum=0.7",
        "training.stages.0.overfit_stop={max_gap: 0.5}",
        "training.stages.1.ema_momentum=0.7",
        "training.stages.1.global_clipnorm=1",
        "training.stages.1.early_stopping={monitor: val_loss, patience: 1}",
        "training.stages.1.overfit_stop={max_gap: 0.99}",
    )
    run = train(recipe, tmp_path / "run", tmp_path).path
    said = capsys.readouterr().out
    assert "above validation accuracy, more than 0.5: the stage ends" in said
    assert "restored the weights of epoch 1\n" in said
    first, second, *_ = records(run)
    assert first["accuracy_gap"] == first["accuracy"] - 1
    assert "ended_by" not in first
    assert second["ended_by"] == "overfit_stop"
    assert [record["stage"] for record in records(run)][:3] == ["head", "head", "all"]
    best = "checkpoints/kept-0-1.safetensors"
    assert filecmp.cmp(tmp_path / "after_1" / best, tmp_path / "after_2" / best, shallow=False)
    assert_resumes(recipe, tmp_path, after=[1, 2, 3])


@pytest.mark.slow
def test_a_student_of_a_teacher(tmp_path, copies):
    recipe = load_tiny(
        tmp_path,
        *ONE_STAGE,
        "training.distillation={teacher: pixels, loss: relational}",
        "training.stages.0.epochs=2",
    )
    train(recipe, tmp_path / "run", tmp_path)
    assert all(record["distillation_loss"] > 0 for record in records(tmp_path / "run"))
    assert_resumes(recipe, tmp_path, after=[1])


@pytest.mark.slow
def test_interrupted_before_the_first_checkpoint_of_a_stage(tmp_path, monkeypatch):
    """The weights that the stage before ends with are not those that this stage has kept since."""
    recipe = load_tiny(
        tmp_path,
        "training.stages.0.epochs=3",
        "training.stages.0.early_stopping={monitor: val_loss, patience: 3}",
        "training.stages.1.early_stopping={monitor: val_loss, patience: 3}",
    )
    run = train(recipe, tmp_path / "run", tmp_path).path
    save = CheckpointManager.save

    def interrupted(self, model, progress):
        if progress.stage == 1 and progress.epoch == 1:
            raise KeyboardInterrupt
        save(self, model, progress)

    monkeypatch.setattr(CheckpointManager, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "after_4", tmp_path)
    monkeypatch.setattr(CheckpointManager, "save", save)
    assert_resumes(recipe, tmp_path, after=[4])
    assert len(records(run)) == 5


@pytest.mark.slow
def test_augmented_copies_of_features(tmp_path, copies):
    recipe = load_tiny(
        tmp_path,
        "data.cache=features",
        "data.num_cached_augmentations=2",
        "training.stages.0.epochs=4",
        "training.stages.1.epochs=1",
    )
    train(recipe, tmp_path / "run", tmp_path)
    assert_resumes(recipe, tmp_path, after=[3])


def test_a_checkpoint_of_a_stage_that_is_not_there(tmp_path, monkeypatch):
    recipe = load_tiny(tmp_path)

    def of_a_later_stage(self, model, progress):
        save(self, model, dataclasses.replace(progress, stage=7))
        raise KeyboardInterrupt

    save = CheckpointManager.save
    monkeypatch.setattr(CheckpointManager, "save", of_a_later_stage)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "run", tmp_path)
    with pytest.raises(
        InputError, match=r"kept-0\.safetensors: is of stage 8, and the recipe has 2"
    ):
        train(recipe, tmp_path / "run", tmp_path, resume=True)
