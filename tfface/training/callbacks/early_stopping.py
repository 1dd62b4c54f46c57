"""When a stage ends before its last epoch, and with which weights."""

import keras

from tfface.errors import note
from tfface.recipe.schema import EarlyStoppingConfig, StageConfig
from tfface.training import multiprocess
from tfface.training.callbacks.ema import use_ema_weights
from tfface.training.checkpoint_manager import CheckpointManager
from tfface.training.recognizer import Recognizer
from tfface.training.run_progress import RunProgress

# What `RunProgress.ended_by` says where a user's callback set `model.stop_training`.
CALLBACKS = "callbacks"


class EarlyStopping(keras.callbacks.Callback):
    """Ends a stage by its `early_stopping` or `overfit_stop`, and restores its best weights then.

    It comes after the user's callbacks, and notes it where one of these has ended the stage.

    Args:
        stage: the recipe's stage.
        recognizer: whose weights are saved.
        progress: where the run stands.
        manager: the checkpoints of the run.
    """

    def __init__(
        self,
        stage: StageConfig,
        recognizer: Recognizer,
        progress: RunProgress,
        manager: CheckpointManager,
    ):
        super().__init__()
        self._stage = stage
        self._recognizer = recognizer
        self._progress = progress
        self._manager = manager

    def on_epoch_end(self, epoch, logs=None):
        if update_early_stopping(self._progress, self._stage, logs):
            with use_ema_weights(self._recognizer):
                self._manager.save_best_weights(self._recognizer, self._progress)
        (is_stopped,) = multiprocess.any_process(bool(self.model.stop_training))
        if is_stopped and not self._progress.ended_by:
            self._progress.ended_by = CALLBACKS

    def on_train_end(self, logs=None):
        if restores_best_weights(self._stage):
            self._manager.restore_best_weights(self._recognizer, self._progress)
            note(f"  {_describe_best(self._progress, self._stage)}")


def restores_best_weights(stage: StageConfig) -> bool:
    """Whether the stage may end with other weights than those of its last epoch."""
    return stage.early_stopping is not None or stage.overfit_stop is not None


def generalization_gap(metrics: dict[str, float]) -> float:
    """Returns training accuracy - validation accuracy."""
    return metrics["accuracy"] - metrics["val_accuracy"]


def update_early_stopping(
    progress: RunProgress, stage: StageConfig, metrics: dict[str, float]
) -> bool:
    """Updates `progress` with an epoch's metrics.

    An epoch whose gap is too large ends the stage, and early stopping does not choose it.

    Returns:
        Whether the epoch's weights must be saved, because the stage may end with them.
    """
    if stage.overfit_stop is not None and generalization_gap(metrics) > stage.overfit_stop.max_gap:
        progress.ended_by = "overfit_stop"
        return False
    if stage.early_stopping is not None and not _is_best(progress, stage.early_stopping, metrics):
        return False
    progress.best_epoch = progress.epoch
    return restores_best_weights(stage)


def _is_best(progress: RunProgress, config: EarlyStoppingConfig, metrics: dict[str, float]) -> bool:
    value = metrics[config.monitor]
    is_best = progress.best is None or (
        value < progress.best if config.lower_is_better else value > progress.best
    )
    if is_best:
        progress.best = value
        progress.epochs_since_best = 0
    else:
        progress.epochs_since_best += 1
        if progress.epochs_since_best >= config.patience:
            progress.ended_by = "early_stopping"
    return is_best


def _describe_best(progress: RunProgress, stage: StageConfig) -> str:
    if progress.best_epoch == 0:
        return "restored the weights that the stage began with"
    metric = ""
    if stage.early_stopping is not None:
        metric = f" ({stage.early_stopping.monitor} {progress.best:.4f})"
    return f"restored the weights of epoch {progress.best_epoch}{metric}"
