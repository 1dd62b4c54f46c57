"""The callback that reacts to NaN and infinite losses, gradients and metrics."""

import math
from collections.abc import Sequence

import keras

from tfface.errors import InputError, note
from tfface.recipe.schema import StageConfig
from tfface.training.checkpoint_manager import CheckpointManager
from tfface.training.distribution import fetch
from tfface.training.nonfinite import GRADIENT_BEFORE, LOSS, skip_nonfinite_steps
from tfface.training.recognizer import Recognizer
from tfface.training.run_progress import RunProgress
from tfface.training.stage_task import StageTask

# If so many batches are useless, something else is wrong with the recipe.
_MAX_LEFT_OUT = 10
_SHOWN_FILES = 8


class NonFiniteStep(Exception):
    """A step whose loss or gradient is NaN or infinite.

    Attributes:
        step: its position in the epoch, from 0.
        what: "loss" or "gradient".
    """

    def __init__(self, step: int, what: str):
        super().__init__(f"step {step}: {what}")
        self.step = step
        self.what = what

    def describe(self, learning_rate: float, files: Sequence[str]) -> str:
        """Returns what happened, in words.

        Args:
            learning_rate: of the step.
            files: the names of the batch's images.
        """
        more = f", and {len(files) - _SHOWN_FILES} more" if len(files) > _SHOWN_FILES else ""
        return (
            f"the {self.what} of step {self.step + 1} is NaN or infinite, at learning rate "
            f"{learning_rate:.3g}; its images: {', '.join(files[:_SHOWN_FILES])}{more}"
        )


class NanGuard(keras.callbacks.Callback):
    """Finds steps whose loss or gradient is NaN or infinite.

    Unless the recipe skips such steps, it raises `NonFiniteStep` out of `fit`; `recover` then
    decides how to continue.

    Args:
        action: the recipe's `training.on_nonfinite`: `stop`, `skip` or `restore`.
        recognizer: whose optimizer trains `task`.
        stage: the recipe's stage.
        task: what is trained.
        progress: where the run stands.
        manager: the checkpoints of the run.
    """

    def __init__(
        self,
        action: str,
        recognizer: Recognizer,
        stage: StageConfig,
        task: StageTask,
        progress: RunProgress,
        manager: CheckpointManager,
    ):
        super().__init__()
        self._action = action
        self._recognizer = recognizer
        self._stage = stage
        self._task = task
        self._progress = progress
        self._manager = manager
        self._title = ""
        self._positions: list[int] = []
        self._steps_before = self._count_before = 0

    def on_train_begin(self, logs=None):
        if self._action == "skip":
            skip_nonfinite_steps(self._task.model)

    def on_epoch_begin(self, epoch, logs=None):
        self._title = f"{self._stage.name} {self._progress.epoch + 1}/{self._stage.epochs}"
        self._positions = self._progress.remaining_steps(self.params["steps"])
        # Of an epoch that is resumed, its metrics count the steps made before.
        counter = self._task.model.nonfinite
        resumed = bool(self._progress.metrics)
        self._steps_before = int(fetch(counter.steps)) if resumed else 0
        self._count_before = int(fetch(counter.number)) if resumed else 0

    def on_train_batch_end(self, batch, logs=None):
        if self._progress.reads_device(self.params["steps"]):
            self._compare(int(logs["nonfinite"]))

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            if not math.isfinite(value):
                raise InputError(
                    f"{self._title}: {name} became {value}. {self._stopped()}. Lower the learning "
                    "rate, or use precision float32"
                )

    def check(self) -> None:
        """Checks all steps of the epoch so far, the last one's gradient included.

        Raises:
            NonFiniteStep: a loss or gradient was NaN or infinite.
        """
        # On JAX, `self.model` also brings the variables up to date.
        model = self.model
        self._compare(int(fetch(model.nonfinite.number)))
        if self._action != "skip" and not model.weights_are_finite():
            raise NonFiniteStep(self._progress.step - 1, "gradient")

    def recover(self, error: NonFiniteStep) -> None:
        """Restores the last checkpoint, and leaves the batch of the step out from now on.

        Raises:
            InputError: the recipe asks to stop instead, or too many batches were left out.
        """
        what = self._describe(error)
        if self._action != "restore":
            raise InputError(
                f"{what}. {self._stopped()}. Lower the learning rate, add lr_warmup_epochs or "
                "global_clipnorm, or use precision float32 in a new run; or continue without this "
                "batch by --resume --set training.on_nonfinite=restore"
            ) from error
        left_out = [*self._progress.left_out, (self._progress.total_epochs, error.step)]
        if len(left_out) > _MAX_LEFT_OUT:
            raise InputError(
                f"{what}. {_MAX_LEFT_OUT} batches have been left out before it. "
                f"{self._stopped()}. Lower the learning rate, or use precision float32"
            ) from error
        self._manager.restore_newest(self._recognizer, self._progress)
        self._progress.left_out = left_out
        note(
            f"  warning: {what}; continuing from step {self._progress.step} of epoch "
            f"{self._progress.total_epochs + 1} without this batch",
        )

    def _compare(self, count: int) -> None:
        """Reacts if more steps are not finite than before."""
        if count <= self._count_before:
            return
        self._count_before = count
        # On JAX, `self.model` also brings the variables up to date.
        first, cause = self.model.nonfinite.pop_first()
        place = first - 1 - self._steps_before
        if cause == GRADIENT_BEFORE and place > 0:
            place -= 1
        error = NonFiniteStep(self._positions[place], "loss" if cause == LOSS else "gradient")
        if self._action != "skip":
            raise error
        note(f"  warning: {self._describe(error)}; the step was skipped")

    def _describe(self, error: NonFiniteStep) -> str:
        rate = float(keras.ops.convert_to_numpy(self._recognizer.optimizer.learning_rate))
        files = self._task.train.file_names(self._progress.total_epochs, error.step)
        return f"{self._title}: {error.describe(rate, files)}"

    def _stopped(self) -> str:
        if self._manager.will_have_checkpoint():
            return "Training stopped, and the last checkpoint is kept"
        return "Training stopped before the first checkpoint"
