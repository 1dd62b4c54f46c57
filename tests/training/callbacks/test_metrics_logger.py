"""What is printed and logged of steps and epochs."""

import json

import pytest

from tests.training.callbacks.made import STEPS, make_stage
from tfface.training.callbacks import MetricsLogger, metrics_logger
from tfface.training.run_folder import RunFolder
from tfface.training.run_progress import RunProgress

METRICS = {"accuracy": 0.75, "loss": 1.5, "val_accuracy": 0.25, "val_loss": 2.0}


@pytest.fixture
def make(tmp_path):
    def make(*overrides, **progress):
        progress = RunProgress(learning_rate=0.1, **progress)
        stage = make_stage(tmp_path, *overrides)
        logger = MetricsLogger(RunFolder(tmp_path / "run"), stage, progress, batch_size=8)
        logger.set_params({"steps": STEPS})
        logger.on_train_begin()
        return logger, progress

    return make


def train_epoch(logger, progress) -> None:
    logger.on_epoch_begin(progress.total_epochs)
    for step in range(progress.step, STEPS):
        progress.finish_step(step)
        logger.on_train_batch_end(step, {"loss": 3.0, "step_loss": float(step)})
    logger.on_test_begin()
    progress.finish_epoch()


def records(tmp_path) -> list[dict]:
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_steps_and_epochs(make, tmp_path, capsys):
    logger, progress = make()
    train_epoch(logger, progress)
    logger.on_epoch_end(0, METRICS)
    logger.on_train_end()
    *steps, epoch = records(tmp_path)
    assert steps == [{"step": 10, "loss": 9.0}, {"step": 20, "loss": 19.0}]
    assert epoch.pop("epoch_seconds") >= 0
    assert epoch.pop("images_per_second") > 0
    assert epoch == {
        "epoch": 1, "stage": "head", "step": 20, "learning_rate": 0.1, **METRICS
    }  # fmt: skip
    assert [*epoch][3:7] == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert capsys.readouterr().out.startswith(
        "  head 1/1: loss 1.5000, accuracy 0.7500, val_loss 2.0000, val_accuracy 0.2500, "
    )


def test_the_seconds_of_an_epoch(make, tmp_path, capsys, monkeypatch):
    """All that passes counts: features and validation, and the checkpoint before."""
    now = 100.0
    monkeypatch.setattr(metrics_logger.time, "perf_counter", lambda: now)
    logger, progress = make("training.stages.0.epochs=2")
    now += 6  # features
    logger.on_epoch_begin(0)
    now += 4  # steps
    progress.finish_step(STEPS - 1)
    logger.on_train_batch_end(STEPS - 1, {"loss": 3.0, "step_loss": 3.0})
    logger.on_test_begin()
    now += 10  # validation
    progress.finish_epoch()
    logger.on_epoch_end(0, METRICS)
    now += 3  # the checkpoint
    logger.on_epoch_begin(1)
    now += 5
    progress.finish_step(STEPS - 1)
    logger.on_train_batch_end(STEPS - 1, {"loss": 3.0, "step_loss": 3.0})
    progress.finish_epoch()
    logger.on_epoch_end(1, METRICS)
    first, second = (record for record in records(tmp_path) if "epoch" in record)
    assert (first["epoch_seconds"], first["images_per_second"]) == (20, 8 * STEPS / 4)
    assert (second["epoch_seconds"], second["images_per_second"]) == (8, 8 * STEPS / 5)
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(", ")[2] for line in lines] == ["20.0 s", "8.0 s"]


def test_what_callbacks_add_to_the_metrics(make, tmp_path, capsys):
    logger, progress = make()
    train_epoch(logger, progress)
    logger.on_epoch_end(0, {**METRICS, "purity": 0.5, "note": "text"})
    record = records(tmp_path)[-1]
    assert record["purity"] == 0.5
    assert "note" not in record
    assert ", purity 0.5000, val_loss" in capsys.readouterr().out


def test_a_gap_that_ended_the_stage(make, tmp_path, capsys):
    logger, progress = make("training.stages.0.overfit_stop={max_gap: 0.25}")
    train_epoch(logger, progress)
    progress.ended_by = "overfit_stop"
    logger.on_epoch_end(0, METRICS)
    assert records(tmp_path)[-1]["accuracy_gap"] == 0.5
    assert records(tmp_path)[-1]["ended_by"] == "overfit_stop"
    assert "training accuracy is 0.5000 above validation accuracy, more than 0.25: the" in (
        capsys.readouterr().out
    )


def test_the_best_epoch_is_marked(make, capsys):
    stopping = "training.stages.0.early_stopping={monitor: val_loss, patience: 1}"
    logger, progress = make(stopping)
    train_epoch(logger, progress)
    logger.on_epoch_end(0, METRICS)
    assert "(best)" not in capsys.readouterr().out
    train_epoch(logger, progress)
    progress.best_epoch = 2
    logger.on_epoch_end(1, METRICS)
    assert "s (best)\n" in capsys.readouterr().out


def test_steps_that_are_made_again_are_forgotten(make, tmp_path):
    logger, progress = make()
    train_epoch(logger, progress)
    progress.assign(RunProgress(step=10, total_steps=10))
    logger.reopen()
    assert [record["step"] for record in records(tmp_path)] == [10]
    train_epoch(logger, progress)
    assert [record["step"] for record in records(tmp_path)] == [10, 20]
