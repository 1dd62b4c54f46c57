"""The events of one `fit` for callbacks that live as long as a stage, which is a `fit` an epoch."""

import keras

from tfface.training.distribution import put
from tfface.training.progress import Progress


class FitEvents(keras.callbacks.Callback):
    """Passes the events of the `fit` of one epoch on to callbacks that live as long as a stage.

    Args:
        callbacks: get positions in the epoch, also where it is resumed in the middle.
        progress: counts the steps.
        positions: of the batches that `fit` gets.
    """

    def __init__(
        self, callbacks: keras.callbacks.CallbackList, progress: Progress, positions: list[int]
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


def restore_metrics(model: keras.Model, progress: Progress) -> None:
    """Assigns the metrics' variables after the last step, which `progress` holds."""
    for variable, value in zip(model.metrics_variables, progress.metrics, strict=True):
        put(variable, value)
