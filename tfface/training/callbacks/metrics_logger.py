"""The callback that reports training: progress bar, printed lines, metrics.jsonl, TensorBoard."""

import math
import time
from typing import Any

import keras

from tfface.errors import note
from tfface.progress import progress as progress_bar
from tfface.progress import said
from tfface.recipe.schema import StageConfig
from tfface.reporting.metrics_log import MetricsLog, NoLog
from tfface.training import multiprocess
from tfface.training.callbacks.early_stopping import generalization_gap
from tfface.training.run_folder import RunFolder
from tfface.training.run_progress import RunProgress


class MetricsLogger(keras.callbacks.Callback):
    """Shows and logs the losses of steps and the metrics of epochs.

    The seconds of an epoch are all that passed since the one before it in the stage: its features,
    where they are cached, its steps, its validation, and the writing of the checkpoint between the
    two. The images per second are those of the steps alone.

    Only the main process writes files.

    Args:
        run: where `metrics.jsonl` and the TensorBoard events go.
        stage: the recipe's stage.
        progress: where the run stands.
        batch_size: images of a step.
    """

    def __init__(self, run: RunFolder, stage: StageConfig, progress: RunProgress, batch_size: int):
        super().__init__()
        self._run = run
        self._stage = stage
        self._progress = progress
        self._batch_size = batch_size
        self._log: MetricsLog | NoLog = NoLog()
        self._bar = None
        self._title = ""
        self._num_steps = 0
        # When the epoch before ended, and when the steps began and how long they took.
        self._last_end = self._started = self._step_seconds = 0.0

    def on_train_begin(self, logs=None):
        self._last_end = time.perf_counter()
        self.reopen()

    def on_epoch_begin(self, epoch, logs=None):
        self._title = f"{self._stage.name} {self._progress.epoch + 1}/{self._stage.epochs}"
        self._num_steps = len(self._progress.remaining_steps(self.params["steps"]))
        self._bar = progress_bar(total=self._num_steps, description=self._title, unit="steps")
        self._started, self._step_seconds = time.perf_counter(), 0.0

    def on_train_batch_end(self, batch, logs=None):
        self._bar.update()
        if self._progress.reads_device(self.params["steps"]):
            loss = float(logs["step_loss"])
            if math.isfinite(loss):
                self._bar.set_postfix(loss=f"{float(logs['loss']):.3f}", refresh=False)
            self._log.step(self._progress.total_steps, loss)
        self._step_seconds = time.perf_counter() - self._started

    def on_test_begin(self, logs=None):
        self._bar.close()

    def on_epoch_end(self, epoch, logs=None):
        self._bar.close()
        now = time.perf_counter()
        seconds, self._last_end = now - self._last_end, now
        self._log.epoch(self._record(logs, seconds))
        self._print_epoch(logs, seconds)

    def on_train_end(self, logs=None):
        self.close()

    def reopen(self) -> None:
        """Opens the log, and forgets what it has of steps that the run makes again."""
        self.close()
        if multiprocess.is_main_process():
            self._log = MetricsLog(
                self._run.metrics,
                resume_at_step=self._progress.total_steps,
                tensorboard_dir=self._run.tensorboard,
            )

    def close(self) -> None:
        """Closes log and progress bar; may be called more than once."""
        if self._bar is not None:
            self._bar.close()
        if isinstance(self._log, MetricsLog):
            self._log.close()
        self._log = NoLog()

    def _record(self, metrics: dict[str, float], seconds: float) -> dict[str, Any]:
        progress = self._progress
        record = {
            "epoch": progress.total_epochs,
            "stage": self._stage.name,
            "step": progress.total_steps,
            **_in_order(metrics),
        }
        if self._stage.overfit_stop is not None:
            record["accuracy_gap"] = generalization_gap(metrics)
        if progress.ended_by:
            record["ended_by"] = progress.ended_by
        num_images, in_steps = self._num_steps * self._batch_size, self._step_seconds
        return record | {
            "learning_rate": progress.learning_rate,
            "epoch_seconds": round(seconds, 3),
            "images_per_second": round(num_images / in_steps, 1) if in_steps else 0.0,
        }

    def _print_epoch(self, metrics: dict[str, float], seconds: float) -> None:
        stage, progress = self._stage, self._progress
        shown = ", ".join(f"{name} {value:.4f}" for name, value in _in_order(metrics).items())
        is_best = stage.early_stopping is not None and progress.best_epoch == progress.epoch
        best = " (best)" if is_best else ""
        note(f"  {self._title}: {shown}, {seconds:.1f} s{best}")
        said()
        if progress.ended_by == "overfit_stop":
            note(
                f"  training accuracy is {generalization_gap(metrics):.4f} above validation "
                f"accuracy, more than {stage.overfit_stop.max_gap:g}: the stage ends",
            )


def _in_order(metrics: dict[str, float]) -> dict[str, float]:
    """Returns metrics of training before those of validation, losses first; Keras sorts by name.

    A callback may have added to them what is not a number, which is left out.
    """
    names = sorted(
        (name for name, value in metrics.items() if isinstance(value, int | float)),
        key=lambda name: (name.startswith("val_"), not name.endswith("loss"), name),
    )
    return {name: metrics[name] for name in names}
