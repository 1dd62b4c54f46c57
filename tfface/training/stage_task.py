"""What a stage trains, on what, and how it is judged after each epoch."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import keras

from tfface.data.pipeline.pipeline import Pipeline
from tfface.evaluation.embedders.keras_model import KerasEmbedder
from tfface.evaluation.verification import verify
from tfface.metrics.verification import VerificationResult
from tfface.progress import progress
from tfface.training import multiprocess
from tfface.training.datasets import RunData
from tfface.training.distribution import SingleDevice
from tfface.training.recognizer import Recognizer


@dataclasses.dataclass
class StageTask:
    """What a stage trains.

    Attributes:
        model: the recognizer; or the part of it that is not frozen, with the same optimizer.
        train: the batches that `model` takes, as Pipeline gives them.
        validate: returns the figures of validation by name, empty without any.
    """

    model: Recognizer
    train: Any
    validate: Callable[[], dict[str, float]]


def image_task(
    recognizer: Recognizer,
    data: RunData,
    distribution: SingleDevice | None = None,
    augment_on: Literal["host", "device"] = "host",
) -> StageTask:
    """The whole recognizer on images.

    Args:
        distribution: the devices that the recognizer is on; by default one.
        augment_on: `device` lets the recognizer augment its images; on TensorFlow.
    """
    train, recognizer.augmentation = data.train, None
    if augment_on == "device" and train.is_augmented:
        train, recognizer.augmentation = train.augmented_later()
    if data.validation_pairs is not None:
        alone = (distribution or SingleDevice()).local_replica(recognizer.embedder)
        embedder = KerasEmbedder(alone.model, "validation")

        def validate() -> dict[str, float]:
            with alone.synced():
                figures = pair_metrics(verify(embedder, data.validation_pairs))
            return multiprocess.broadcast_from_main(figures)

    elif data.validation is not None:

        def validate() -> dict[str, float]:
            return image_metrics(recognizer, data.validation)

    else:
        validate = dict
    return StageTask(recognizer, train, validate)


def image_metrics(model: Recognizer, batches: Pipeline) -> dict[str, float]:
    bar = progress(total=batches.steps_per_epoch, description="validating", unit="steps")
    with batches.naming_bad_images(), bar:
        figures = model.evaluate(
            batches.epoch(0), verbose=0, return_dict=True, callbacks=[_Counting(bar)]
        )
    return {f"val_{name}": figures[name] for name in ("loss", "accuracy")}


class _Counting(keras.callbacks.Callback):
    def __init__(self, bar):
        super().__init__()
        self._bar = bar

    def on_test_batch_end(self, batch, logs=None):
        self._bar.update()


def pair_metrics(result: VerificationResult) -> dict[str, float]:
    return {
        "val_verification_accuracy": result.accuracy.mean,
        "val_verification_auc": result.auc,
    }
