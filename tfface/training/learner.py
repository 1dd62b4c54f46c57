"""What a stage trains, on what, and how it is judged after each epoch."""

import dataclasses
from collections.abc import Callable
from typing import Any

from tfface.data.pipeline import Pipeline
from tfface.evaluation.keras_embedder import KerasEmbedder
from tfface.evaluation.verification import verify
from tfface.metrics.verification import VerificationResult
from tfface.training.datasets import RunData
from tfface.training.recognizer import Recognizer


@dataclasses.dataclass
class Learner:
    """What a stage trains.

    Attributes:
        model: the recognizer; or the part of it that is not frozen, with the same optimizer.
        train: the batches that `model` takes, as Pipeline gives them.
        validate: returns the figures of validation by name, empty without any.
    """

    model: Recognizer
    train: Any
    validate: Callable[[], dict[str, float]]


def on_images(recognizer: Recognizer, data: RunData) -> Learner:
    """The whole recognizer on images."""
    if data.validation_pairs is not None:
        embedder = KerasEmbedder(recognizer.embedder, "validation")

        def validate() -> dict[str, float]:
            return pair_figures(verify(embedder, data.validation_pairs))

    elif data.validation is not None:

        def validate() -> dict[str, float]:
            return image_figures(recognizer, data.validation)

    else:
        validate = dict
    return Learner(recognizer, data.train, validate)


def image_figures(model: Recognizer, batches: Pipeline) -> dict[str, float]:
    with batches.naming_bad_images():
        figures = model.evaluate(batches.epoch(0), verbose=0, return_dict=True)
    return {f"val_{name}": figures[name] for name in ("loss", "accuracy")}


def pair_figures(result: VerificationResult) -> dict[str, float]:
    return {
        "val_verification_accuracy": result.accuracy.mean,
        "val_verification_auc": result.auc,
    }
