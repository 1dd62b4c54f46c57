"""What happens at every step: progress bar, the loss of the step, the check that it is finite."""

import math

import keras

from tfface.errors import InputError
from tfface.progress import progress as progress_bar
from tfface.report.metrics_log import MetricsLog

LOG_EVERY_STEPS = 10


class Steps(keras.callbacks.Callback):
    """Watches the steps of one epoch.

    Args:
        description: which epoch of which stage, for the progress bar and for errors.
        first_step: number of steps made before this epoch, in all stages.
        num_steps: number of steps of this epoch.
        log: where step losses go.
    Raises InputError (out of `fit`): the loss is not finite.
    """

    def __init__(self, description: str, first_step: int, num_steps: int, log: MetricsLog):
        super().__init__()
        self.description = description
        self.first_step = first_step
        self.num_steps = num_steps
        self.log = log

    def on_epoch_begin(self, epoch, logs=None):
        self.bar = progress_bar(total=self.num_steps, description=self.description, unit="steps")

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()
        # Fetching a loss waits for the device, so it is not done at every step.
        if (batch + 1) % LOG_EVERY_STEPS == 0 or batch + 1 == self.num_steps:
            loss = float(logs["step_loss"])
            if not math.isfinite(float(logs["loss"])) or not math.isfinite(loss):
                self.bar.close()
                raise InputError(self._not_finite(batch + 1, float(logs["loss"])))
            self.bar.set_postfix(loss=f"{float(logs['loss']):.3f}", refresh=False)
            self.log.step(self.first_step + batch + 1, loss)

    def on_epoch_end(self, epoch, logs=None):
        self.bar.close()

    def _not_finite(self, step: int, loss: float) -> str:
        first = max(1, step - LOG_EVERY_STEPS + 1)
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        return (
            f"{self.description}: the loss became {loss} between steps {first} and {step} of this "
            f"epoch, at learning rate {rate:.3g}; training stopped and the checkpoint of the last "
            "finished epoch is kept. Lower the learning rate, add warmup_epochs, or use precision "
            "float32"
        )
