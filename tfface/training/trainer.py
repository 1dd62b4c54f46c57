"""The trainer: stage after stage and epoch after epoch of `fit`, with a list of callbacks.

A run may end at any moment and resumes from its newest checkpoint as if it hadn't: checkpoints hold
all that training changes, and what a batch holds is a function of (seed, epoch, step).
"""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import keras

from tfface.errors import InputError, note
from tfface.recipe.schema import DataConfig, StageConfig, TrainingConfig
from tfface.training import multiprocess, stages
from tfface.training.callbacks import (
    Checkpointing,
    EarlyStopping,
    EmaWeights,
    MetricsLogger,
    NanGuard,
    Preemption,
)
from tfface.training.callbacks.early_stopping import restores_best_weights
from tfface.training.callbacks.nan_guard import NonFiniteStep
from tfface.training.callbacks.preemption import PreemptionHandler, TrainingInterrupted
from tfface.training.checkpoint_manager import CheckpointManager
from tfface.training.checkpoint_state import load_checkpoint, metric_values
from tfface.training.datasets import RunData
from tfface.training.distribution import SingleDevice, put
from tfface.training.feature_cache import FeatureCache
from tfface.training.recognizer import Recognizer
from tfface.training.run_folder import RunFolder
from tfface.training.run_progress import RunProgress
from tfface.training.stage_task import EPOCH_METRICS, StageTask, image_task


class Trainer:
    """Trains the stages of a run.

    Args:
        config: the recipe's section `training`.
        data_config: the recipe's section `data`.
        recognizer: built.
        data: of the run.
        run: its folder.
        distribution: the devices that the recognizer is on.
        handler: handles signals.
        callbacks: the user's; they get the events of each stage as if it were one `fit`.
    """

    def __init__(
        self,
        config: TrainingConfig,
        data_config: DataConfig,
        recognizer: Recognizer,
        data: RunData,
        run: RunFolder,
        distribution: SingleDevice,
        handler: PreemptionHandler,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ):
        self._config = config
        self._data_config = data_config
        self._recognizer = recognizer
        self._data = data
        self._run = run
        self._distribution = distribution
        self._handler = handler
        self._user_callbacks = callbacks
        self._progress = RunProgress(batch_size=data.train.batch_size)
        self._checkpoints = CheckpointManager(
            run.checkpoints, config.checkpoints.keep, self._has_best_weights
        )
        self._features: FeatureCache | None = None

    def train(self, *, resume: bool) -> None:
        """Trains all stages.

        Args:
            resume: continue from the newest checkpoint, if there is one.

        Raises:
            InputError: a loss or gradient is NaN or infinite, a checkpoint is damaged or can't be
                written, or images can't be read.
            TrainingInterrupted: a signal came, and the checkpoint is written.
        """
        found = self._find_checkpoint(resume)
        first = found[1].stage if found else 0
        if self._data_config.cache == "features":
            self._features = FeatureCache(
                self._recognizer, self._data, self._data_config.num_cached_augmentations
            )
        # Several processes have to decide alike when to end.
        is_single = multiprocess.process_count() == 1
        with nullcontext() if is_single else self._handler.deferred():
            try:
                for number, stage in enumerate(self._config.stages[first:], start=first):
                    stages.prepare(self._recognizer, stage, self._data.train.steps_per_epoch)
                    if found and number == first:
                        self._resume(found[0])
                    else:
                        self._begin(number, stage)
                    self._train_stage(stage)
            finally:
                # One of several may have failed alone, and the others don't come then.
                if is_single:
                    with self._handler.deferred():
                        self._checkpoints.wait()
        if not is_single:
            self._checkpoints.wait()

    # ----------------------------------------------------------------------------------- a stage

    def _find_checkpoint(self, resume: bool) -> tuple[Path, RunProgress] | None:
        """Returns the checkpoint to resume from; None for a run that begins."""
        if not (resume and self._checkpoints.exist()):
            self._checkpoints.clear()
            return None
        path, progress = self._checkpoints.newest()
        num_stages = len(self._config.stages)
        if progress.stage >= num_stages:
            raise InputError(
                f"{path}: is of stage {progress.stage + 1}, and the recipe has {num_stages}; "
                "choose another run folder (--run-dir) or delete this one"
            )
        return path, progress

    def _has_best_weights(self, number: int) -> bool:
        all_stages = self._config.stages
        return number < len(all_stages) and restores_best_weights(all_stages[number])

    def _begin(self, number: int, stage: StageConfig) -> None:
        self._progress.start_stage(number)
        with self._handler.deferred():
            if restores_best_weights(stage):
                self._checkpoints.save_best_weights(self._recognizer, self._progress)
            self._checkpoints.save(self._recognizer, self._progress)

    def _resume(self, checkpoint: Path) -> None:
        progress, train = self._progress, self._data.train
        progress.assign(load_checkpoint(checkpoint, self._recognizer))
        before = progress.batch_size
        if progress.change_batch_size(train.batch_size, train.steps_per_epoch):
            steps = progress.epoch * train.steps_per_epoch + progress.step
            self._recognizer.optimizer.iterations.assign(steps)
            note(
                f"batches of {train.batch_size} images in place of {before}: the learning rate is "
                "as the recipe says, and results are not those of an unchanged run",
            )
        where = f"epoch {progress.total_epochs}"
        if progress.step:
            where = f"step {progress.step} of epoch {progress.total_epochs + 1}"
        note(f"resuming after {where}")

    def _train_stage(self, stage: StageConfig) -> None:
        progress, steps_per_epoch = self._progress, self._data.train.steps_per_epoch
        note(
            f"stage {progress.stage + 1}/{len(self._config.stages)} '{stage.name}': up to "
            f"{stage.epochs} epochs of {steps_per_epoch} steps, "
            f"{stages.describe(self._recognizer, stage)}",
        )
        task = self._task(stage)
        # Of the stage before, where that trained the same model.
        task.model.stop_training = False
        callbacks = self._callbacks(stage, task)
        try:
            callbacks.on_train_begin()
            while progress.epoch < stage.epochs and not progress.ended_by:
                try:
                    self._train_epoch(task, callbacks)
                except NonFiniteStep as error:
                    self._nan_guard.recover(error)
                    self._logger.reopen()
            callbacks.on_train_end()
        finally:
            self._logger.close()

    def _task(self, stage: StageConfig) -> StageTask:
        progress = self._progress
        if self._features is None or not stage.freezes_backbone:
            if self._features is not None:
                self._features.clear()
            return image_task(
                self._recognizer, self._data, self._distribution, self._data_config.augment_on
            )
        task = self._features.task(progress.total_epochs - progress.epoch)
        note(f"  {self._features.description}")
        return task

    def _callbacks(self, stage: StageConfig, task: StageTask) -> keras.callbacks.CallbackList:
        """Returns the callbacks of a stage, in the order in which they need each other."""
        recognizer, progress, manager = self._recognizer, self._progress, self._checkpoints
        self._nan_guard = NanGuard(
            self._config.on_nonfinite, recognizer, stage, task, progress, manager
        )
        self._logger = MetricsLogger(self._run, stage, progress, task.train.batch_size)
        self._checkpointing = Checkpointing(
            self._config.checkpoints, recognizer, progress, manager, self._nan_guard
        )
        self._preemption = Preemption(self._handler, progress, self._checkpointing)
        return keras.callbacks.CallbackList(
            [
                self._nan_guard,
                EmaWeights(recognizer),
                *self._user_callbacks,
                EarlyStopping(stage, recognizer, progress, manager),
                self._logger,
                self._checkpointing,
                self._preemption,
            ],
            model=task.model,
            epochs=progress.total_epochs - progress.epoch + stage.epochs,
            steps=task.train.steps_per_epoch,
            verbose=0,
        )

    # ---------------------------------------------------------------------------------- an epoch

    def _train_epoch(self, task: StageTask, callbacks: keras.callbacks.CallbackList) -> None:
        """Trains an epoch or what is left of it, and validates."""
        progress, epoch, is_fitted = self._progress, self._progress.total_epochs, False
        try:
            with self._handler.deferred():
                self._fit(task, callbacks)
                is_fitted = True
            if multiprocess.process_count() == 1:
                self._handler.check()
            metrics = self._training_metrics(task) | self._validate(task, callbacks)
        except TrainingInterrupted:
            # The steps are made, though the epoch isn't finished.
            if is_fitted:
                with self._handler.deferred():
                    self._checkpointing.save()
                self._preemption.interrupt()
            raise
        with self._handler.deferred():
            progress.finish_epoch()
            callbacks.on_epoch_end(epoch, metrics)

    def _fit(self, task: StageTask, callbacks: keras.callbacks.CallbackList) -> None:
        progress, steps_per_epoch = self._progress, task.train.steps_per_epoch
        if progress.step == 0:
            rate = self._recognizer.optimizer.learning_rate
            progress.learning_rate = float(keras.ops.convert_to_numpy(rate))
        if positions := progress.remaining_steps(steps_per_epoch):
            with task.train.naming_bad_images():
                task.model.fit(
                    task.batches(progress.total_epochs, positions),
                    shuffle=False,
                    verbose=0,
                    callbacks=[FitEvents(callbacks, progress, positions)],
                )
            self._nan_guard.check()
            progress.metrics = metric_values(task.model)
        else:
            callbacks.on_epoch_begin(progress.total_epochs)
        if not task.model.stop_training:
            # The last ones may have been left out.
            progress.finish_step(steps_per_epoch - 1)

    def _training_metrics(self, task: StageTask) -> dict[str, float]:
        """Returns the metrics of all steps of the epoch."""
        if not self._progress.metrics:
            raise InputError("no step of this epoch is left; all its batches were left out")
        restore_metrics(task.model, self._progress)
        results = task.model.get_metrics_result()
        return {name: float(results[name]) for name in EPOCH_METRICS if name in results}

    def _validate(
        self, task: StageTask, callbacks: keras.callbacks.CallbackList
    ) -> dict[str, float]:
        metrics: dict[str, float] = {}
        if task.validate is None:
            return metrics
        try:
            callbacks.on_test_begin()
            metrics = task.validate()
        finally:
            with self._handler.deferred():
                callbacks.on_test_end(metrics)
        return metrics


class FitEvents(keras.callbacks.Callback):
    """Passes the events of the `fit` of one epoch on to callbacks that live as long as a stage.

    Args:
        callbacks: get positions in the epoch, also where it is resumed in the middle.
        progress: counts the steps.
        positions: of the batches that `fit` gets.
    """

    def __init__(
        self, callbacks: keras.callbacks.CallbackList, progress: RunProgress, positions: list[int]
    ):
        super().__init__()
        self._callbacks = callbacks
        self._progress = progress
        self._positions = positions

    def on_epoch_begin(self, epoch, logs=None):
        # `fit` has just reset them.
        if self._progress.metrics:
            restore_metrics(self.model, self._progress)
        self._callbacks.on_epoch_begin(self._progress.total_epochs)

    def on_train_batch_begin(self, batch, logs=None):
        self._callbacks.on_train_batch_begin(self._positions[batch], logs)

    def on_train_batch_end(self, batch, logs=None):
        position = self._positions[batch]
        self._progress.finish_step(position)
        self._callbacks.on_train_batch_end(position, logs)


def restore_metrics(model: keras.Model, progress: RunProgress) -> None:
    """Assigns the metrics' variables after the last step, which `progress` holds."""
    for variable, value in zip(model.metrics_variables, progress.metrics, strict=True):
        put(variable, value)
