"""Where a run stands: what counts its stages, epochs and steps, and what ends a stage."""

import dataclasses
import json
from typing import Annotated

from pydantic import AliasChoices, ConfigDict, Field, StrictFloat

from tfface.json_file import Count, ListOf, parse_as

# Reading a value from a device waits for its steps, so it is not done at every step.
READ_EVERY_STEPS = 10


@dataclasses.dataclass
class RunProgress:
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
        best_epoch: the epoch of this stage whose weights it would end with; 0 for those it began
            with.
        ended_by: what ended the stage before its last epoch: a key of the recipe, `callbacks`, or
            "".
        left_out: (epoch in all stages, step), both from 0, of batches that the run skips because
            their loss or gradient was NaN or infinite.
        batch_size: the size of the batches that steps count.

    Example:
        >>> progress = RunProgress()
        >>> progress.finish_step(0)
        >>> progress.remaining_steps(3)
        [1, 2]
        >>> progress.finish_epoch()
        >>> progress.total_epochs, progress.step, progress.total_steps
        (1, 0, 1)
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    stage: Count = 0
    epoch: Count = 0
    total_epochs: Count = 0
    step: Count = 0
    total_steps: Count = 0
    metrics: ListOf[StrictFloat] = dataclasses.field(default_factory=list)
    learning_rate: StrictFloat = 0.0
    best: StrictFloat | None = None
    epochs_since_best: Count = 0
    # Checkpoints of earlier versions have the second name.
    best_epoch: Annotated[
        Count, Field(validation_alias=AliasChoices("best_epoch", "kept_epoch"))
    ] = 0
    ended_by: str = ""
    left_out: ListOf[tuple[Count, Count]] = dataclasses.field(default_factory=list)
    batch_size: Count = 0

    def start_stage(self, number: int) -> None:
        """Moves on to a stage, with nothing of it done yet."""
        self.assign(
            RunProgress(
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

    def assign(self, other: "RunProgress") -> None:
        """Takes over all values of another one."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(other, field.name))

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))


def parse_progress(text: str) -> RunProgress:
    """Reads what `RunProgress.to_json` wrote.

    Raises ValueError: `text` is something else.
    """
    return parse_as(RunProgress, text)
