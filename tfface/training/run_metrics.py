"""The metrics of a finished run, read from its folder."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfface.data.pairs import split_name
from tfface.errors import InputError
from tfface.files import parse_json, read_regular
from tfface.recipe import Recipe
from tfface.recipe.schema import EarlyStoppingConfig
from tfface.recipe.validation import measured_metrics
from tfface.reporting.metrics_log import epoch_records, read_metrics
from tfface.training.run_folder import RunFolder

_OF_CLASSIFICATION = ("accuracy", "top5", "macro_recall", "macro_f1", "log_loss", "ece")
_OF_VERIFICATION = ("accuracy", "eer", "auc")
# What an epoch's record holds beside metrics.
_NOT_METRICS = {"epoch", "step", "stage"}
# The second is the word of earlier versions.
_ENDED_BY_GAP = ("overfit_stop", "end_on_gap")


@dataclass(frozen=True)
class RunMetrics:
    """The metrics of a run.

    Attributes:
        metrics: name -> value, those of `metric_names` and more.
        epochs: the records of all epochs.
        seconds: training time of all epochs.
    """

    metrics: dict[str, float]
    epochs: list[dict]
    seconds: float


def metric_names(recipe: Recipe) -> list[str]:
    """Returns the names of the metrics of a run, the most important one first.

    `test_accuracy` and so on are of `evaluation.classification`, `SET.accuracy` and so on of a
    verification set; the others are of the epoch whose weights the run keeps.
    """
    names = []
    if recipe.evaluation.classification is not None:
        names += [f"test_{metric}" for metric in _OF_CLASSIFICATION]
    for argument in recipe.evaluation.verification:
        names += [f"{split_name(argument)[0]}.{metric}" for metric in _OF_VERIFICATION]
    return [*names, *validation_metrics(recipe), *training_metrics(recipe)]


def training_metrics(recipe: Recipe) -> list[str]:
    """Returns the names of the metrics of training images, the most important one first."""
    accuracy = [] if recipe.model.head is None else ["accuracy"]
    return [*accuracy, "loss"]


def validation_metrics(recipe: Recipe) -> list[str]:
    """Returns the names of the validation metrics, the most important one first."""
    # An accuracy comes before the AUC or loss.
    return sorted(name for name in measured_metrics(recipe) if name.startswith("val_"))


def read_run_metrics(run: RunFolder, recipe: Recipe) -> RunMetrics:
    """Reads what a finished run has measured.

    Raises InputError: a file of the run is missing or can't be read.
    """
    epochs = epoch_records(read_metrics(run.metrics))
    if not epochs:
        raise InputError(f"{run.metrics}: holds no epoch, and a finished run has one at least")
    best = best_epoch(epochs, [stage.early_stopping for stage in recipe.training.stages])
    metrics = {name: value for name, value in (best or {}).items() if name not in _NOT_METRICS}
    if recipe.evaluation.classification is not None:
        metrics |= _read(run.classification, _of_classification)
    if recipe.evaluation.verification:
        metrics |= _read(run.verification, _of_verification)
    return RunMetrics(
        metrics={name: float(value) for name, value in metrics.items() if _is_metric(value)},
        epochs=epochs,
        seconds=sum(record.get("epoch_seconds") or 0.0 for record in epochs),
    )


def best_epoch(
    epochs: Sequence[dict], stopping: Sequence[EarlyStoppingConfig | None]
) -> dict | None:
    """Returns the record of the epoch whose weights a run ends with; None for no epoch's.

    Args:
        epochs: all records, at least one.
        stopping: early stopping of each stage of the recipe.
    """
    stages = list(dict.fromkeys(record["stage"] for record in epochs))
    for stage, early in reversed(list(zip(stages, stopping, strict=False))):
        # An epoch that opened the gap too far is not chosen.
        those = [
            record
            for record in epochs
            if record["stage"] == stage and record.get("ended_by") not in _ENDED_BY_GAP
        ]
        if not those:
            # The stage ended with the weights that it began with.
            continue
        if early is None:
            return those[-1]
        choose = min if early.lower_is_better else max
        # The first of equals, as in training.
        return choose(those, key=lambda record: record[early.monitor])
    return None


def _is_metric(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _of_classification(found: Mapping) -> dict[str, object]:
    return {f"test_{name}": found.get(name) for name in _OF_CLASSIFICATION}


def _of_verification(found: Mapping) -> dict[str, object]:
    metrics = {}
    for name, one in found["sets"].items():
        accuracy = (one["accuracy"] or {}).get("mean")
        of_set = {"accuracy": accuracy, "eer": one["eer"], "auc": one["auc"]}
        metrics |= {f"{name}.{metric}": value for metric, value in of_set.items()}
    return metrics


def _read(path: Path, metrics_of: Callable[[Mapping], dict[str, object]]) -> dict[str, object]:
    try:
        return metrics_of(parse_json(read_regular(path)))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: can't be read as the metrics of a run: {error}") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path}: has not the metrics of a run, though it is JSON") from error
