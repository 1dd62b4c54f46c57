"""When a stage ends before its epochs are over, and with which weights."""

from tfface.recipe.schema import EarlyStopping, Stage
from tfface.training.checkpointing import Progress


def keeps_weights(stage: Stage) -> bool:
    """Whether the stage may end with other weights than those of its last epoch."""
    return stage.early_stopping is not None or stage.end_on_gap is not None


def gap(figures: dict[str, float]) -> float:
    """Returns by how much better the images are known that were trained on."""
    return figures["accuracy"] - figures["val_accuracy"]


def gap_figure(stage: Stage, figures: dict[str, float]) -> dict[str, float]:
    """Returns the gap by its name in the log, where the stage looks at it."""
    return {"accuracy_gap": gap(figures)} if stage.end_on_gap is not None else {}


def judge(progress: Progress, stage: Stage, figures: dict[str, float]) -> bool:
    """Notes an epoch's figures in `progress`; returns whether the stage may end with its weights.

    An epoch past the gap ends the stage, and is nothing that early stopping could choose.
    """
    if stage.end_on_gap is not None and gap(figures) > stage.end_on_gap.threshold:
        progress.end("end_on_gap")
        return False
    if stage.early_stopping is not None and not _is_best(progress, stage.early_stopping, figures):
        return False
    progress.kept_epoch = progress.epoch
    return keeps_weights(stage)


def _is_best(progress: Progress, stopping: EarlyStopping, figures: dict[str, float]) -> bool:
    value = figures[stopping.monitor]
    better = progress.best is None or (
        value < progress.best if stopping.lower_is_better else value > progress.best
    )
    if better:
        progress.best = value
        progress.epochs_since_best = 0
    else:
        progress.epochs_since_best += 1
        if progress.epochs_since_best >= stopping.patience:
            progress.end("early_stopping")
    return better


def describe(progress: Progress, stage: Stage) -> str:
    """Returns one line on which weights the stage has ended with."""
    if progress.kept_epoch == 0:
        return "kept the weights that the stage began with"
    figure = ""
    if stage.early_stopping is not None:
        figure = f" ({stage.early_stopping.monitor} {progress.best:.4f})"
    return f"kept the weights of epoch {progress.kept_epoch}{figure}"
