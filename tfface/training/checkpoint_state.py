"""What checkpoints hold: the state of a model and its optimizer, or the weights alone, as arrays.

`checkpoint_file.py` has the format, `variable_keys.py` the keys of the arrays. They are the same
with any number of devices: every process gathers the whole of an array that is sharded over
devices, one part after the other.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import keras
import numpy as np

from tfface.backbones.normalization import use_weights
from tfface.errors import InputError, shown
from tfface.training.checkpoint_file import OLD_SUFFIX, read_arrays, read_text
from tfface.training.distribution import fetch, put
from tfface.training.run_progress import RunProgress, parse_progress
from tfface.training.variable_keys import MODEL, OPTIMIZER, model_keys, optimizer_keys


def state_arrays(
    model: keras.Model, reused: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Returns a copy of the state of a model and its optimizer; all processes must call it.

    Args:
        model: compiled.
        reused: the arrays of an earlier call, to be overwritten: new memory takes ten times as
            long to fill.

    Returns:
        Key -> array, by the keys of `variable_keys.py`.
    """
    arrays = {}
    for key, variable in _state_variables(model).items():
        value = _value(model, variable)
        array = (reused or {}).get(key)
        if array is None or array.shape != value.shape or array.dtype != value.dtype:
            array = np.empty(value.shape, value.dtype)
        np.copyto(array, value)
        arrays[key] = array
    return arrays


def load_checkpoint(path: Path, model: keras.Model) -> RunProgress:
    """Restores a compiled model and its optimizer from a checkpoint.

    Returns:
        Where the run stood.

    Raises:
        InputError: the file is damaged, or belongs to another model; the message says which
            variables differ.
    """
    other = "the checkpoint of another model, or of another stage's optimizer"
    return _parsed(path, _restore(path, model, _state_variables(model), other))


def weight_arrays(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns a copy of the weights alone, by key; all processes must call it."""
    return {key: np.array(_value(model, v)) for key, v in _weight_variables(model).items()}


def load_weights(path: Path, model: keras.Model) -> None:
    """Restores the weights of a model from a file of `weight_arrays`.

    Raises:
        InputError: the file is missing or damaged, or belongs to another model.
    """
    _restore(path, model, _weight_variables(model), "the weights of another model")


def read_progress(path: Path) -> RunProgress:
    """Returns where a run stood; `load_checkpoint` needs the optimizer of that stage.

    Raises:
        InputError: the file is missing or damaged.
    """
    return _parsed(path, read_text(path))


def _parsed(path: Path, text: str) -> RunProgress:
    try:
        return parse_progress(text)
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a readable checkpoint: {reason}") from error


def _restore(
    path: Path, model: keras.Model, variables: Mapping[str, keras.Variable], other: str
) -> str:
    """Assigns the arrays of a file to variables; returns the file's text.

    Args:
        path: the file.
        model: to which the variables belong, or its optimizer.
        variables: by key.
        other: what the file is when its arrays aren't those of the variables.
    """
    arrays, text = read_arrays(path)
    if path.suffix == OLD_SUFFIX:
        arrays = _by_key(arrays, variables)
    if differences := _differences(model, variables, arrays):
        raise InputError(f"{path}: {other}: {differences}")
    for key, variable in variables.items():
        put(variable, arrays[key])
    use_weights(model)
    return text


def _differences(
    model: keras.Model,
    variables: Mapping[str, keras.Variable],
    arrays: Mapping[str, np.ndarray],
) -> str:
    """Says how arrays differ from those that variables need; "" if they don't."""
    changed = []
    for key, variable in variables.items():
        wanted = f"{variable.dtype} {list(_shape(model, variable))}"
        if key in arrays and (found := f"{arrays[key].dtype} {list(arrays[key].shape)}") != wanted:
            changed.append(f"{key} is {found} in the file and {wanted} in the model")
    kinds = (
        ("not in the file: ", [key for key in variables if key not in arrays]),
        ("not in the model: ", [shown(key) for key in arrays if key not in variables]),
        ("", changed),
    )
    return "; ".join(f"{kind}{_first(texts)}" for kind, texts in kinds if texts)


def _first(texts: list[str], number: int = 3) -> str:
    more = f" and {len(texts) - number:,} more" if len(texts) > number else ""
    return ", ".join(texts[:number]) + more


def _by_key(
    arrays: Mapping[str, np.ndarray], variables: Mapping[str, keras.Variable]
) -> dict[str, np.ndarray]:
    """Gives arrays of version 0.1, `model/00000` or `00000`, the keys of the variables."""
    keyed = {}
    for prefix in (MODEL, OPTIMIZER):
        keys = [key for key in variables if key.startswith(prefix)]
        # Files of weights alone have no prefix.
        names = [name for name in arrays if name.startswith(prefix)] or (
            [name for name in arrays if "/" not in name] if prefix == MODEL else []
        )
        keyed |= {name: arrays[name] for name in names[len(keys) :]}
        keyed |= {key: arrays[name] for key, name in zip(keys, names, strict=False)}
    return keyed


def variable_values(model: keras.Model, variables: Iterable[keras.Variable]) -> list[np.ndarray]:
    """Returns the values of a model's or its optimizer's variables without padding for devices.

    All processes must call it.
    """
    return [np.array(_value(model, variable)) for variable in variables]


def metric_values(model: keras.Model) -> list[float]:
    """Returns the values of a model's metrics' variables; all processes must call it."""
    return [float(value) for value in variable_values(model, model.metrics_variables)]


def _value(model: keras.Model, variable: keras.Variable) -> np.ndarray:
    """Returns the value without padding; copy it before the variable changes."""
    value = fetch(variable)
    return value[: _shape(model, variable)[0]] if value.ndim else value


def _shape(model: keras.Model, variable: keras.Variable) -> tuple[int, ...]:
    """Returns the shape of a variable without padding."""
    shape = tuple(variable.shape)
    # Also those of the optimizer, which are named after the variable they belong to.
    if "class_centers" in variable.path:
        return (model.head.num_centers, *shape[1:])
    return shape


def _state_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns every variable that training changes, random states included, by key."""
    return model_keys(model) | optimizer_keys(model)


def _weight_variables(model: keras.Model) -> dict[str, keras.Variable]:
    weights = {id(variable) for variable in model.weights}
    return {key: v for key, v in model_keys(model).items() if id(v) in weights}
