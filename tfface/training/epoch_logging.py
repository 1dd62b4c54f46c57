"""The figures of an epoch: whether they are numbers, and what is said of them."""

import math

from tfface.errors import InputError
from tfface.progress import said
from tfface.recipe.schema import Stage
from tfface.training import early_stopping
from tfface.training.checkpointing import Progress


def check_finite(figures: dict[str, float], title: str, stopped: str) -> None:
    """Raises InputError: a figure is infinite or no number.

    Args:
        stopped: a sentence on what the run leaves.
    """
    for name, value in figures.items():
        if not math.isfinite(value):
            raise InputError(
                f"{title}: {name} became {value}. {stopped}. Lower the learning rate, or use "
                "precision float32"
            )


def say_epoch(
    title: str,
    stage: Stage,
    figures: dict[str, float],
    seconds: float,
    keep: bool,
    progress: Progress,
) -> None:
    """Prints an epoch's line, and why it was the stage's last if a gap has ended it.

    Args:
        keep: whether the stage may end with its weights.
    """
    shown = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
    best = " (best)" if keep and stage.early_stopping is not None else ""
    print(f"  {title}: {shown}, {seconds:.1f} s{best}", flush=True)
    said()
    if progress.ended_by == "end_on_gap":
        print(
            f"  training accuracy is {early_stopping.gap(figures):.4f} above validation accuracy, "
            f"more than {stage.end_on_gap.threshold:g}: the stage ends",
            flush=True,
        )
