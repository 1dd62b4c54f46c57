"""What happens at every step: progress bar, the loss of the step, the check that it is finite."""

import math
from collections.abc import Callable, Sequence

import keras

from tfface.progress import progress as progress_bar
from tfface.reporting.metrics_log import MetricsLog
from tfface.training.checkpointing import Progress
from tfface.training.distribution import fetch, put
from tfface.training.nan_guard import GRADIENT_BEFORE, LOSS

LOOK_EVERY_STEPS = 10
_SHOWN_FILES = 8


class NonFiniteStep(Exception):
    """A step whose loss or gradient is infinite or no number.

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
            files: the names of the batch's images.
        """
        more = f", and {len(files) - _SHOWN_FILES} more" if len(files) > _SHOWN_FILES else ""
        return (
            f"the {self.what} of step {self.step + 1} is infinite or no number, at learning rate "
            f"{learning_rate:.3g}; its images: {', '.join(files[:_SHOWN_FILES])}{more}"
        )


class Steps(keras.callbacks.Callback):
    """Watches the steps of one epoch.

    Args:
        description: which epoch of which stage, for the progress bar.
        positions: of the batches that `fit` will see, in the epoch, rising.
        progress: moved on with each step. Where it begins with metrics of steps made before, these
            are gone on with.
        log: where step losses go.
        after_step: called after each step, when `progress` has been moved on.
        on_skipped: told of a step that left all as it was, by a NonFiniteStep; None where no step
            does so.
    Raises NonFiniteStep (out of `fit`): unless steps are skipped.
    """

    def __init__(
        self,
        description: str,
        positions: Sequence[int],
        progress: Progress,
        log: MetricsLog,
        after_step: Callable[[], None],
        on_skipped: Callable[[NonFiniteStep], None] | None = None,
    ):
        super().__init__()
        self._description = description
        self._positions = positions
        self._progress = progress
        self._log = log
        self._after_step = after_step
        self._on_skipped = on_skipped
        self._steps_before = progress.total_steps - progress.step
        self._first_fitted = 0
        self._num_nonfinite = 0

    def on_epoch_begin(self, epoch, logs=None):
        if self._progress.metrics:
            variables = self.model.metrics_variables
            for variable, value in zip(variables, self._progress.metrics, strict=True):
                put(variable, value)
            self._first_fitted = int(fetch(self.model.nonfinite.steps))
            self._num_nonfinite = int(fetch(self.model.nonfinite.number))
        self._bar = progress_bar(
            total=len(self._positions), description=self._description, unit="steps"
        )

    def on_train_batch_end(self, batch, logs=None):
        self._bar.update()
        position = self._positions[batch]
        # Fetching a loss waits for the device, so it is not done at every step.
        if (position + 1) % LOOK_EVERY_STEPS == 0 or batch + 1 == len(self._positions):
            self._look(position, logs)
        self._progress.step = position + 1
        self._progress.total_steps = self._steps_before + position + 1
        self._after_step()

    def on_epoch_end(self, epoch, logs=None):
        self._bar.close()

    def look_for_nonfinite(self) -> None:
        """Finds out now whether all steps until now were finite, the last one's gradient included.

        Raises NonFiniteStep: one was not.
        """
        sync(self.model)
        if int(fetch(self.model.nonfinite.number)) > self._num_nonfinite:
            self._found(int(fetch(self.model.nonfinite.number)))
        if self._on_skipped is None and not self.model.weights_are_finite():
            raise NonFiniteStep(self._progress.step - 1, "gradient")

    def _look(self, position: int, logs: dict) -> None:
        number = int(logs["nonfinite"])
        if number > self._num_nonfinite:
            self._found(number)
        loss = float(logs["step_loss"])
        if math.isfinite(loss):
            self._bar.set_postfix(loss=f"{float(logs['loss']):.3f}", refresh=False)
        self._log.step(self._steps_before + position + 1, loss)

    def _found(self, number: int) -> None:
        sync(self.model)
        self._num_nonfinite = number
        first, cause = self.model.nonfinite.pop_first()
        place = first - 1 - self._first_fitted
        if cause == GRADIENT_BEFORE and place > 0:
            place -= 1
        what = "loss" if cause == LOSS else "gradient"
        error = NonFiniteStep(self._positions[place], what)
        if self._on_skipped is None:
            self._bar.close()
            raise error
        self._on_skipped(error)


def sync(model: keras.Model) -> None:
    """Lets a model that is in `fit` have the values of now in its variables."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()
