"""Where a run stands: what counts its stages, epochs and steps, and what ends a stage."""

import dataclasses
import json
from typing import Any

from tfface.files import parse_json

# Reading a value from a device waits for its steps, so it is not done at every step.
READ_EVERY_STEPS = 10


@dataclasses.dataclass
class Progress:
    """Where a run stands; a checkpoint holds it beside the variables.

    Attributes:
        stage: position of the stage in the recipe.
        epoch: epochs finished in this stage.
        total_epochs: epochs finished in all stages; data order and augmentation follow it.
        step: steps made in the current epoch.
        total_steps: steps made in all stages.
        metrics: values of the metrics' variables after `step`; empty at the start of an epoch.
        learning_rate: the one the epoch began with.
        best: best value of the stage's early-stopping monitor so far.
        epochs_since_best: epochs finished after the one that gave `best`.
        kept_epoch: the epoch of this stage whose weights it would end with; 0 for the weights it
            began with.
        ended_by: what ended the stage before its last epoch: a key of the recipe, `callbacks`, or
            "".
        left_out: (epoch in all stages, step), both from 0, of batches that the run skips because
            their loss or gradient was NaN or infinite.
        batch_size: the size of the batches that steps count.

    Example:
        >>> progress = Progress()
        >>> progress.finish_step(0)
        >>> progress.remaining_steps(3)
        [1, 2]
        >>> progress.finish_epoch()
        >>> progress.total_epochs, progress.step, progress.total_steps
        (1, 0, 1)
    """

    stage: int = 0
    epoch: int = 0
    total_epochs: int = 0
    step: int = 0
    total_steps: int = 0
    metrics: list[float] = dataclasses.field(default_factory=list)
    learning_rate: float = 0.0
    best: float | None = None
    epochs_since_best: int = 0
    kept_epoch: int = 0
    ended_by: str = ""
    left_out: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    batch_size: int = 0

    def start_stage(self, number: int) -> None:
        """Moves on to a stage, with nothing of it done yet."""
        self.assign(
            Progress(
                stage=number,
                total_epochs=self.total_epochs,
                total_steps=self.total_steps,
                left_out=self.left_out,
                batch_size=self.batch_size,
            )
        )

    def finish_step(self, step: int) -> None:
        """Counts the steps of the epoch up to the one at position `step`, from 0."""
        self.total_steps += step + 1 - self.step
        self.step = step + 1

    def finish_epoch(self) -> None:
        """Counts an epoch; the next one begins with its first step."""
        self.epoch += 1
        self.total_epochs += 1
        self.step, self.metrics = 0, []

    def remaining_steps(self, steps_per_epoch: int) -> list[int]:
        """Returns the positions of the epoch's batches that are still to be trained."""
        return [
            step
            for step in range(self.step, steps_per_epoch)
            if (self.total_epochs, step) not in self.left_out
        ]

    def reads_device(self, steps_per_epoch: int) -> bool:
        """Whether values of the step that was just made are read from the device."""
        return self.step % READ_EVERY_STEPS == 0 or self.step == steps_per_epoch

    def change_batch_size(self, batch_size: int, steps_per_epoch: int) -> bool:
        """Rescales the counts of steps to another batch size; returns whether it is another.

        Args:
            batch_size: the new one.
            steps_per_epoch: with it.
        """
        before, self.batch_size = self.batch_size, batch_size
        if before == batch_size:
            return False
        self.step = min(self.step * before // batch_size, steps_per_epoch)
        self.metrics = []
        self.left_out = []
        self.total_steps = self.total_epochs * steps_per_epoch + self.step
        return True

    def assign(self, other: "Progress") -> None:
        """Takes over all values of another one."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(other, field.name))

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))


def parse_progress(text: str) -> Progress:
    """Reads what `Progress.to_json` wrote.

    Raises:
        ValueError, TypeError: `text` is something else.
    """
    progress = Progress(**parse_json(text))
    for field in dataclasses.fields(progress):
        if field.type is int:
            _check_count(field.name, getattr(progress, field.name))
    if not isinstance(progress.ended_by, str) or not isinstance(progress.best, float | None):
        raise ValueError("best or ended_by has another type")
    if not all(isinstance(value, float) for value in (*progress.metrics, progress.learning_rate)):
        raise ValueError("metrics or learning_rate are not numbers")
    progress.left_out = [(int(epoch), int(step)) for epoch, step in progress.left_out]
    return progress


def _check_count(name: str, value: Any) -> None:
    if not (type(value) is int and 0 <= value < 2**63):
        raise ValueError(f"{name} is not a count")
