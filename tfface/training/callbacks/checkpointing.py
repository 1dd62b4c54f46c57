"""The callback that writes checkpoints after every epoch and within long ones."""

import time

import keras

from tfface.recipe.schema import CheckpointConfig
from tfface.training import multiprocess
from tfface.training.callbacks.nan_guard import NanGuard
from tfface.training.checkpoint_manager import CheckpointManager
from tfface.training.checkpoint_state import metric_values
from tfface.training.recognizer import Recognizer
from tfface.training.run_progress import READ_EVERY_STEPS, RunProgress


class Checkpointing(keras.callbacks.Callback):
    """Writes a checkpoint after every epoch, and within epochs as often as the recipe asks.

    Args:
        config: the recipe's section `training.checkpoints`.
        recognizer: whose weights and optimizer are saved, also where a part of it is trained.
        progress: where the run stands.
        manager: the checkpoints of the run.
        nan_guard: asked before a checkpoint within an epoch, so that none holds NaN.
    """

    def __init__(
        self,
        config: CheckpointConfig,
        recognizer: Recognizer,
        progress: RunProgress,
        manager: CheckpointManager,
        nan_guard: NanGuard,
    ):
        super().__init__()
        self._config = config
        self._recognizer = recognizer
        self._progress = progress
        self._manager = manager
        self._nan_guard = nan_guard
        self._saved_at = time.monotonic()
        self._saved_step = progress.total_steps

    def on_epoch_begin(self, epoch, logs=None):
        # Of an epoch that is trained again from an older checkpoint, steps are saved again.
        self._saved_step = self._progress.total_steps

    def on_train_batch_end(self, batch, logs=None):
        # After the last step the epoch's end saves.
        if self._progress.step < self.params["steps"] and self._is_due():
            self.save_within_epoch()

    def on_epoch_end(self, epoch, logs=None):
        self.save()

    def save_within_epoch(self) -> None:
        """Saves after a step of `fit`, unless that was done for this very step.

        Raises:
            NonFiniteStep: a loss or gradient of the epoch is NaN or infinite.
        """
        if self._saved_step == self._progress.total_steps:
            return
        self._nan_guard.check()
        # On JAX, `self.model` also brings the variables up to date.
        self._progress.metrics = metric_values(self.model)
        self.save()

    def save(self) -> None:
        """Saves as `CheckpointManager.save` does."""
        self._manager.save(self._recognizer, self._progress)
        self._saved_at = time.monotonic()
        self._saved_step = self._progress.total_steps

    def wait(self) -> None:
        """Returns when all checkpoints are on the disk."""
        self._manager.wait()

    def _is_due(self) -> bool:
        every_steps, every_minutes = self._config.every_steps, self._config.every_minutes
        is_due = bool(every_steps) and self._progress.total_steps % every_steps == 0
        # Clocks differ, and all processes must decide alike; asking the others takes time.
        if every_minutes and (
            multiprocess.process_count() == 1 or self._progress.step % READ_EVERY_STEPS == 0
        ):
            minutes = (time.monotonic() - self._saved_at) / 60
            (is_due,) = multiprocess.any_process(is_due or minutes >= every_minutes)
        return is_due
