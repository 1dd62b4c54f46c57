"""Stage after stage, epoch after epoch: training, validation and checkpoints.

A run may end at any moment and goes on from its newest checkpoint as if it hadn't: checkpoints hold
all that training changes, and what a batch holds is a function of (seed, epoch, step).
"""

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import keras

from tfface.errors import InputError
from tfface.recipe import Recipe
from tfface.recipe.schema import Stage
from tfface.reporting.metrics_log import MetricsLog, NoLog
from tfface.training import checkpointing, early_stopping, multiprocess, stages
from tfface.training.callbacks import LOOK_EVERY_STEPS, NonFiniteStep, Steps, sync
from tfface.training.checkpointing import CheckpointManager, Progress, variable_values
from tfface.training.datasets import RunData
from tfface.training.distribution import SingleDevice
from tfface.training.ema import apply_ema, use_ema_weights
from tfface.training.epoch_logging import check_finite, say_epoch
from tfface.training.feature_cache import FeatureCache
from tfface.training.nan_guard import skip_nonfinite_steps
from tfface.training.preemption import PreemptionHandler, TrainingInterrupted
from tfface.training.recognizer import Recognizer
from tfface.training.run_folder import RunFolder
from tfface.training.stage_task import StageTask, image_task

# Of a recipe whose batches are so often useless, something else is wrong.
_MOST_LEFT_OUT = 10


class Loop:
    """The training of a run.

    Args:
        recognizer: built.
        interruptions: listening.
    """

    def __init__(
        self,
        recipe: Recipe,
        recognizer: Recognizer,
        data: RunData,
        run: RunFolder,
        distribution: SingleDevice,
        interruptions: PreemptionHandler,
    ):
        self._recipe = recipe
        self._recognizer = recognizer
        self._data = data
        self._run = run
        self._distribution = distribution
        self._interruptions = interruptions
        self._section = recipe.training.checkpoints
        self._checkpoints = CheckpointManager(run.checkpoints, self._section.keep)
        self._saved_at = time.monotonic()
        self._features: FeatureCache | None = None
        self._progress = Progress(batch_size=data.train.batch_size)
        self._log: MetricsLog | None = None

    def train(self, *, resume: bool) -> None:
        """Trains all stages.

        Args:
            resume: go on from the newest checkpoint, if there is one.
        Raises InputError: a loss or gradient is not finite, a checkpoint is damaged or can't be
            written, or images can't be read. TrainingInterrupted: a signal came, and the
            checkpoint is written.
        """
        all_stages = self._recipe.training.stages
        found = None
        if resume and self._checkpoints.exist():
            found = self._checkpoints.newest(self._keeps_weights)
        else:
            self._checkpoints.clear()
        first = found[1].stage if found else 0
        if first >= len(all_stages):
            raise InputError(
                f"{found[0]}: is of stage {first + 1}, and the recipe has {len(all_stages)}; "
                "choose another --run-dir or delete this one"
            )
        if self._recipe.data.cache == "features":
            self._features = FeatureCache(
                self._recognizer, self._data, self._recipe.data.augmented_copies
            )
        # Several processes have to decide alike when to end.
        alone = multiprocess.process_count() == 1
        with nullcontext() if alone else self._interruptions.deferred():
            try:
                for number, stage in enumerate(all_stages[first:], start=first):
                    stages.prepare(self._recognizer, stage, self._data.train.steps_per_epoch)
                    if found and number == first:
                        self._go_on(found[0])
                    else:
                        self._begin(number, stage)
                    self._train_stage(stage)
            finally:
                # One of several may have failed alone, and the others don't come then.
                if alone:
                    with self._interruptions.deferred():
                        self._checkpoints.wait()
        if not alone:
            self._checkpoints.wait()

    def _keeps_weights(self, number: int) -> bool:
        all_stages = self._recipe.training.stages
        return number < len(all_stages) and early_stopping.keeps_weights(all_stages[number])

    def _begin(self, number: int, stage: Stage) -> None:
        before = self._progress
        self._progress = Progress(
            stage=number,
            total_epochs=before.total_epochs,
            total_steps=before.total_steps,
            left_out=before.left_out,
            batch_size=before.batch_size,
        )
        with self._interruptions.deferred():
            if early_stopping.keeps_weights(stage):
                self._checkpoints.keep_weights(self._recognizer, self._progress)
            self._save()

    def _go_on(self, path: Path) -> None:
        self._progress = checkpointing.load_checkpoint(path, self._recognizer)
        self._count_by_batch_size()
        where = f"epoch {self._progress.total_epochs}"
        if self._progress.step:
            where = f"step {self._progress.step} of epoch {self._progress.total_epochs + 1}"
        print(f"resuming after {where}", flush=True)

    def _count_by_batch_size(self) -> None:
        """Counts steps anew where batches have another size than before."""
        progress, train = self._progress, self._data.train
        before, progress.batch_size = progress.batch_size, train.batch_size
        if before == train.batch_size:
            return
        progress.step = min(progress.step * before // train.batch_size, train.steps_per_epoch)
        progress.metrics = []
        progress.left_out = []
        progress.total_steps = progress.total_epochs * train.steps_per_epoch + progress.step
        steps = progress.epoch * train.steps_per_epoch + progress.step
        self._recognizer.optimizer.iterations.assign(steps)
        print(
            f"batches of {train.batch_size} images in place of {before}: the learning rate is as "
            "the recipe says, and the run is no longer the one that it was",
            flush=True,
        )

    def _train_stage(self, stage: Stage) -> None:
        progress, num_stages = self._progress, len(self._recipe.training.stages)
        print(
            f"stage {progress.stage + 1}/{num_stages} '{stage.name}': up to {stage.epochs} epochs "
            f"of {self._data.train.steps_per_epoch} steps, "
            f"{stages.describe(self._recognizer, stage)}",
            flush=True,
        )
        task = self._learner(stage)
        while self._progress.epoch < stage.epochs and not self._progress.ended_by:
            with self._open_log() as self._log:
                try:
                    while self._progress.epoch < stage.epochs and not self._progress.ended_by:
                        self._train_epoch(stage, task)
                except NonFiniteStep as error:
                    # The log is opened again: what it has of later steps is forgotten.
                    self._leave_out(error, stage, task)
        apply_ema(self._recognizer)
        if early_stopping.keeps_weights(stage):
            self._checkpoints.restore_best_weights(self._recognizer, self._progress)
            print(f"  {early_stopping.describe(self._progress, stage)}", flush=True)

    def _learner(self, stage: Stage) -> StageTask:
        if self._features is not None and stage.freeze == "backbone":
            task = self._features.task(self._progress.total_epochs - self._progress.epoch)
            print(f"  {self._features.description}", flush=True)
        else:
            task = image_task(
                self._recognizer, self._data, self._distribution, self._recipe.data.augment_on
            )
            if self._features is not None:
                self._features.clear()
        if self._skips:
            skip_nonfinite_steps(task.model)
        return task

    @property
    def _skips(self) -> bool:
        return self._recipe.training.on_nonfinite == "skip"

    def _open_log(self) -> AbstractContextManager:
        if not multiprocess.is_main_process():
            return nullcontext(NoLog())
        return MetricsLog(
            self._run.metrics,
            resume_at_step=self._progress.total_steps,
            tensorboard_dir=self._run.tensorboard,
        )

    def _train_epoch(self, stage: Stage, task: StageTask) -> None:
        """Trains one epoch or what is left of it, validates, logs, and writes the checkpoint."""
        progress, steps_per_epoch = self._progress, task.train.steps_per_epoch
        title = f"{stage.name} {progress.epoch + 1}/{stage.epochs}"
        positions = self._positions(task)
        if progress.step == 0:
            progress.learning_rate = self._learning_rate()
        batches = self._batches(task, positions)
        started = time.perf_counter()
        try:
            with self._interruptions.deferred():
                if positions:
                    self._fit(title, task, batches, positions)
            seconds = time.perf_counter() - started
            with use_ema_weights(self._recognizer):
                figures = self._figures(task) | task.validate()
            check_finite(figures, title, self._stopped())
        except TrainingInterrupted:
            # All steps are made, but validation isn't.
            if progress.step == steps_per_epoch:
                self._save_and_end()
            raise
        with self._interruptions.deferred():
            progress.epoch += 1
            progress.total_epochs += 1
            progress.step, progress.metrics = 0, []
            keep = early_stopping.judge(progress, stage, figures)
            if keep:
                with use_ema_weights(self._recognizer):
                    self._checkpoints.keep_weights(self._recognizer, progress)
            self._log.epoch(
                {
                    "epoch": progress.total_epochs,
                    "stage": stage.name,
                    "step": progress.total_steps,
                    **figures,
                    **early_stopping.gap_figure(stage, figures),
                    **({"ended_by": progress.ended_by} if progress.ended_by else {}),
                    "learning_rate": progress.learning_rate,
                    "epoch_seconds": round(seconds, 3),
                    "images_per_second": round(len(positions) * task.train.batch_size / seconds, 1),
                }
            )
            self._save()
            say_epoch(title, stage, figures, seconds, keep, progress)
            self._end_if_asked()

    def _positions(self, task: StageTask) -> list[int]:
        """Which batches of the epoch are still to be seen."""
        progress = self._progress
        return [
            step
            for step in range(progress.step, task.train.steps_per_epoch)
            if (progress.total_epochs, step) not in progress.left_out
        ]

    def _batches(self, task: StageTask, positions: list[int]):
        """Returns the batches at the positions, in one tf.data.Dataset."""
        epoch, train = self._progress.total_epochs, task.train
        batches, start = None, 0
        with train.naming_bad_images():
            for place, position in enumerate(positions):
                if place + 1 < len(positions) and positions[place + 1] == position + 1:
                    continue
                part = train.epoch(epoch, positions[start])
                if place + 1 < len(positions):
                    part = part.take(place + 1 - start)
                batches = part if batches is None else batches.concatenate(part)
                start = place + 1
        return batches

    def _fit(self, title: str, task: StageTask, batches, positions: list[int]) -> None:
        progress, model = self._progress, task.model
        steps = Steps(
            title,
            positions,
            progress,
            self._log,
            lambda: self._after_step(task, steps),
            (lambda error: self._say_skipped(error, stage_title=title, task=task))
            if self._skips
            else None,
        )
        with task.train.naming_bad_images():
            model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[steps])
        steps.look_for_nonfinite()
        progress.total_steps += task.train.steps_per_epoch - progress.step
        progress.step = task.train.steps_per_epoch
        progress.metrics = _metrics(model)
        if multiprocess.process_count() == 1:
            self._interruptions.check()

    def _after_step(self, task: StageTask, steps: Steps) -> None:
        """Writes a checkpoint if it is time, or if a signal has come."""
        progress, section = self._progress, self._section
        if progress.step == task.train.steps_per_epoch:
            return
        is_due = section.every_steps and progress.total_steps % section.every_steps == 0
        asked = bool(self._interruptions.requested)
        # All processes must decide alike, and asking the others takes time.
        if multiprocess.process_count() == 1 or progress.step % LOOK_EVERY_STEPS == 0:
            if section.every_minutes:
                is_due = is_due or self._minutes_since_saved() >= section.every_minutes
            is_due, asked = multiprocess.any_process(bool(is_due), asked)
        else:
            asked = False
        if not (is_due or asked):
            return
        steps.look_for_nonfinite()
        sync(task.model)
        progress.metrics = _metrics(task.model)
        if asked:
            self._save_and_end()
        self._save()

    def _minutes_since_saved(self) -> float:
        return (time.monotonic() - self._saved_at) / 60

    def _save(self) -> None:
        self._checkpoints.save(self._recognizer, self._progress)
        self._saved_at = time.monotonic()

    def _save_and_end(self) -> None:
        with self._interruptions.deferred():
            self._save()
            self._checkpoints.wait()
        raise TrainingInterrupted(self._interruptions.requested)

    def _end_if_asked(self) -> None:
        """Ends after the checkpoint that was just written, if a signal has come."""
        (asked,) = multiprocess.any_process(bool(self._interruptions.requested))
        if asked:
            self._checkpoints.wait()
            raise TrainingInterrupted(self._interruptions.requested)

    def _figures(self, task: StageTask) -> dict[str, float]:
        """The figures of the epoch's steps."""
        if not self._progress.metrics:
            raise InputError("no step of this epoch is left; all its batches were left out")
        for variable, value in zip(
            task.model.metrics_variables, self._progress.metrics, strict=True
        ):
            variable.assign(value)
        results = task.model.get_metrics_result()
        return {name: float(results[name]) for name in ("loss", "accuracy")}

    def _learning_rate(self) -> float:
        return float(keras.ops.convert_to_numpy(self._recognizer.optimizer.learning_rate))

    def _leave_out(self, error: NonFiniteStep, stage: Stage, task: StageTask) -> None:
        """Goes back to the last checkpoint, from where the run does without that batch.

        Raises InputError: the recipe doesn't want that, or too many were left out already.
        """
        title = f"{stage.name} {self._progress.epoch + 1}/{stage.epochs}"
        what = self._describe(error, title, task)
        if self._recipe.training.on_nonfinite != "restore":
            raise InputError(
                f"{what}. {self._stopped()}. Lower the learning rate, add warmup_epochs or "
                "clip_norm, or use precision float32 in a new run; or go on without this batch by "
                "--resume --set training.on_nonfinite=restore"
            ) from error
        left_out = [*self._progress.left_out, (self._progress.total_epochs, error.step)]
        if len(left_out) > _MOST_LEFT_OUT:
            raise InputError(
                f"{what}. {_MOST_LEFT_OUT} batches have been left out before it. "
                f"{self._stopped()}. Lower the learning rate, or use precision float32"
            ) from error
        self._checkpoints.wait()
        path, _ = self._checkpoints.newest(self._keeps_weights)
        self._progress = checkpointing.load_checkpoint(path, self._recognizer)
        self._progress.left_out = left_out
        print(
            f"  warning: {what}; going on from step {self._progress.step} of epoch "
            f"{self._progress.total_epochs + 1} without this batch",
            flush=True,
        )

    def _stopped(self) -> str:
        if self._checkpoints.will_have_checkpoint():
            return "Training stopped, and the last checkpoint is kept"
        return "Training stopped before the first checkpoint"

    def _say_skipped(self, error: NonFiniteStep, stage_title: str, task: StageTask) -> None:
        what = self._describe(error, stage_title, task)
        print(f"  warning: {what}; the step was skipped", flush=True)

    def _describe(self, error: NonFiniteStep, title: str, task: StageTask) -> str:
        files = task.train.file_names(self._progress.total_epochs, error.step)
        return f"{title}: {error.describe(self._learning_rate(), files)}"


def _metrics(model: keras.Model) -> list[float]:
    return [float(value) for value in variable_values(model, model.metrics_variables)]
