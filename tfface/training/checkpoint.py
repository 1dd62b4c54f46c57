"""Checkpoints: all that a run needs to go on after the step it was written at."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import keras
import numpy as np

from tfface.backbones.normalization import use_weights
from tfface.errors import InputError
from tfface.files import parse_json
from tfface.training.distribution import fetch, put
from tfface.training.sealed_arrays import reading_sealed

_DAMAGED = "not a readable checkpoint"


@dataclasses.dataclass
class Progress:
    """Where a run stands.

    Attributes:
        stage: position of the stage in the recipe.
        epoch: epochs finished in this stage.
        total_epochs: epochs finished in all stages; the data order and augmentation follow it.
        step: steps made in the epoch that is not finished yet.
        total_steps: steps made in all stages.
        metrics: values of the metrics' variables after `step`; empty where it is 0.
        learning_rate: with which the epoch began.
        best: best value of the stage's early-stopping monitor so far.
        epochs_since_best: epochs finished after the one that gave `best`.
        kept_epoch: the epoch of this stage whose weights it would end with; 0 are those it began
            with.
        ended_by: the key of the recipe that has ended the stage, or "".
        left_out: (epoch, counted in all stages from 0; step) of batches that the run goes without,
            because they made the loss infinite or no number.
        batch_size: by which steps are counted.
    """

    stage: int = 0
    epoch: int = 0
    total_epochs: int = 0
    step: int = 0
    total_steps: int = 0
    metrics: list[float] = dataclasses.field(default_factory=list)
    learning_rate: float = 0.0
    best: float | None = None
    epochs_since_best: int = 0
    kept_epoch: int = 0
    ended_by: str = ""
    left_out: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    batch_size: int = 0

    def end(self, by: str) -> None:
        """No further epoch belongs to this stage."""
        self.ended_by = by


def arrays_of(
    model: keras.Model, progress: Progress, reused: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Returns model, optimizer and progress as they are now; all processes must call it.

    Args:
        reused: what an earlier call returned, to be overwritten: new memory takes ten times as long
            to fill.
    """
    arrays = {"progress": np.array(json.dumps(dataclasses.asdict(progress)))}
    for key, variable in _variables(model).items():
        value = _value(model, variable)
        array = (reused or {}).get(key)
        if array is None or array.shape != value.shape or array.dtype != value.dtype:
            array = np.empty_like(value)
        np.copyto(array, value)
        arrays[key] = array
    return arrays


def load(path: Path, model: keras.Model) -> Progress:
    """Fills a compiled model and its optimizer from a file that holds what `arrays_of` returned.

    Raises InputError: the file is damaged, or belongs to another model.
    """
    with reading_sealed(path, _DAMAGED) as file:
        progress = _progress(file)
        arrays = {key: file[key] for key in file if key != "progress"}
    variables = _variables(model)
    wanted = {key: (_shape(model, v), v.dtype) for key, v in variables.items()}
    if wanted != {key: (a.shape, a.dtype.name) for key, a in arrays.items()}:
        raise InputError(
            f"{path}: the checkpoint of another model, or of another stage's optimizer"
        )
    for key, variable in variables.items():
        put(variable, arrays[key])
    use_weights(model)
    return progress


def weights_of(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the weights alone as they are now; all processes must call it."""
    return {f"{i:05d}": value for i, value in enumerate(values(model, model.weights))}


def load_weights(path: Path, model: keras.Model) -> None:
    """Fills a model with the weights in a file that holds what `weights_of` returned.

    Raises InputError: the file is missing or damaged, or belongs to another model.
    """
    with reading_sealed(path, _DAMAGED) as file:
        arrays = [file[key] for key in file]
    wanted = [(_shape(model, v), v.dtype) for v in model.weights]
    if wanted != [(array.shape, array.dtype.name) for array in arrays]:
        raise InputError(f"{path}: the weights of another model")
    for variable, array in zip(model.weights, arrays, strict=True):
        put(variable, array)
    use_weights(model)


def read_progress(path: Path) -> Progress:
    """Returns where a run stood (the optimizer of its stage has to be built before `load`).

    Raises InputError: the file is missing or damaged.
    """
    with reading_sealed(path, _DAMAGED) as file:
        return _progress(file)


def check_weights(path: Path) -> None:
    """Raises InputError: the file that `load_weights` would read is missing or damaged."""
    with reading_sealed(path, _DAMAGED):
        pass


def _progress(file: Mapping[str, np.ndarray]) -> Progress:
    """Raises ValueError, TypeError: it isn't what `arrays_of` returned of it."""
    progress = Progress(**parse_json(str(file["progress"])))
    for field in dataclasses.fields(progress):
        value = getattr(progress, field.name)
        if field.type is int and not (type(value) is int and 0 <= value < 2**63):
            raise ValueError(f"{field.name} is no count")
    if not isinstance(progress.ended_by, str) or not isinstance(progress.best, float | None):
        raise ValueError("best or ended_by is of another type")
    if not all(isinstance(value, float) for value in (*progress.metrics, progress.learning_rate)):
        raise ValueError("metrics or learning_rate are no numbers")
    progress.left_out = [(int(epoch), int(step)) for epoch, step in progress.left_out]
    return progress


def values(model: keras.Model, variables: Iterable[keras.Variable]) -> list[np.ndarray]:
    """Returns values of a model's or its optimizer's variables as a run on one device has them.

    All processes must call it.
    """
    return [np.array(_value(model, variable)) for variable in variables]


def _value(model: keras.Model, variable: keras.Variable) -> np.ndarray:
    """The value as a run on one device has it; to be copied before anything changes it."""
    value = fetch(variable)
    return value[: _shape(model, variable)[0]] if value.ndim else value


def _shape(model: keras.Model, variable: keras.Variable) -> tuple[int, ...]:
    """The shape of a variable as a run on one device has it."""
    shape = tuple(variable.shape)
    # Of the optimizer's variables too, which are called after those they belong to.
    if "class_centers" in variable.path:
        return (model.head.num_centers, *shape[1:])
    return shape


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Every variable that training changes, random seeds included, under a stable name."""
    metrics = {id(variable) for variable in model.metrics_variables}
    state = [variable for variable in model.variables if id(variable) not in metrics]
    # By position: paths hold counters that differ from process to process.
    named = {f"model/{i:05d}": variable for i, variable in enumerate(state)}
    named |= {f"optimizer/{i:05d}": v for i, v in enumerate(model.optimizer.variables)}
    return named
