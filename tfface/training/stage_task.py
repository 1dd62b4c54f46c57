"""What a stage trains and on which batches, and how it is validated after each epoch.

A stage trains the recognizer on images; or, with `cache: features`, its trainable part on features
of the frozen backbone (`feature_cache.py`).
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import keras

from tfface.data.pipeline.pipeline import Pipeline
from tfface.evaluation.embedders.keras_model import KerasEmbedder
from tfface.evaluation.verification import evaluate_verification
from tfface.metrics.verification import VerificationResult
from tfface.progress import progress
from tfface.training import multiprocess
from tfface.training.datasets import RunData
from tfface.training.distribution import SingleDevice
from tfface.training.recognizer import Recognizer

# Those of Keras' metrics that an epoch reports, where the recognizer has them.
EPOCH_METRICS = ("loss", "accuracy", "distillation_loss")


@dataclasses.dataclass
class StageTask:
    """What a stage trains.

    Attributes:
        model: the recognizer; or the part of it that is not frozen, with the same optimizer.
        train: the batches that `model` takes, as Pipeline gives them.
        validate: returns the validation metrics by name; None without validation.
    """

    model: Recognizer
    train: Any
    validate: Callable[[], dict[str, float]] | None

    def batches(self, epoch: int, positions: list[int]):
        """Returns the batches of an epoch at some positions.

        Args:
            epoch: counted in all stages, from 0.
            positions: sorted, at least one.

        Returns:
            tf.data.Dataset.
        """
        batches, start = None, 0
        for number, position in enumerate(positions, start=1):
            if number < len(positions) and positions[number] == position + 1:
                continue
            part = self.train.epoch(epoch, positions[start])
            if position + 1 < self.train.steps_per_epoch:
                part = part.take(number - start)
            batches = part if batches is None else batches.concatenate(part)
            start = number
        return batches


def image_task(
    recognizer: Recognizer,
    data: RunData,
    distribution: SingleDevice | None = None,
    augment_on: Literal["host", "device"] = "host",
) -> StageTask:
    """Returns the task of training the whole recognizer on images.

    Args:
        recognizer: compiled for the stage.
        data: of the run.
        distribution: the devices that the recognizer is on; by default one.
        augment_on: `device` lets the recognizer augment its images; on TensorFlow.
    """
    train, recognizer.augmentation = data.train, None
    if augment_on == "device" and train.is_augmented:
        train, recognizer.augmentation = train.split_augmentation()
    validate = None
    if data.validation_pairs is not None:
        replica = (distribution or SingleDevice()).local_replica(recognizer.embedder)
        embedder = KerasEmbedder(replica.model, "validation")

        def validate() -> dict[str, float]:
            with replica.synced():
                metrics = pair_metrics(evaluate_verification(embedder, data.validation_pairs))
            return multiprocess.broadcast_from_main(metrics)

    elif data.validation is not None:

        def validate() -> dict[str, float]:
            return image_metrics(recognizer, data.validation)

    return StageTask(recognizer, train, validate)


def image_metrics(model: Recognizer, batches: Pipeline) -> dict[str, float]:
    """Returns the losses and the accuracy on validation images of the training identities."""
    bar = progress(total=batches.steps_per_epoch, description="validating", unit="steps")
    with batches.naming_bad_images(), bar:
        metrics = model.evaluate(
            batches.epoch(0), verbose=0, return_dict=True, callbacks=[_ProgressBar(bar)]
        )
    return {f"val_{name}": metrics[name] for name in EPOCH_METRICS if name in metrics}


class _ProgressBar(keras.callbacks.Callback):
    def __init__(self, bar):
        super().__init__()
        self._bar = bar

    def on_test_batch_end(self, batch, logs=None):
        self._bar.update()


def pair_metrics(result: VerificationResult) -> dict[str, float]:
    """Returns the metrics of verification on pairs of held-out identities."""
    return {
        "val_verification_accuracy": result.accuracy.mean,
        "val_verification_auc": result.auc,
    }
