"""Checkpoints: the state of a run, and its files in the run folder.

    checkpoints/checkpoint-000007-stage-0-step-120-kept-3.safetensors   the seventh, after 120 steps
    checkpoints/kept-0-3.safetensors   weights of epoch 3, with which stage 0 would then end

`checkpoint_file.py` has the format, `variable_keys.py` the keys of the arrays. Files are the same
with any number of devices: every process gathers the whole of an array that is sharded over
devices, one part after the other, and the main process writes it.
"""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np

from tfface.backbones.normalization import use_weights
from tfface.errors import InputError, shown
from tfface.files import remove_partial
from tfface.training import multiprocess
from tfface.training.checkpoint_file import (
    OLD_SUFFIX,
    SUFFIX,
    read_arrays,
    read_text,
    write_arrays,
)
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


_SUFFIXES = rf"(?:{re.escape(SUFFIX)}|{re.escape(OLD_SUFFIX)})"
_NAME = re.compile(rf"checkpoint-(\d+)-stage-(\d+)-step-(\d+)-kept-(\d+){_SUFFIXES}")
_BEST_NAME = re.compile(rf"kept-(\d+)-(\d+){_SUFFIXES}")
# The lowest priority: the writer gets the time that steps leave.
_NICENESS = 19


class CheckpointManager:
    """The checkpoints in one folder. The main process writes; all processes must call each method.

    A thread writes files from a copy in memory, so a step waits for the copying only. Its errors
    are raised by the next call. The memory of the copy is kept.

    Args:
        folder: made when it is needed.
        keep: how many stay, > 0; with each the weights that its stage would end with.
        has_best_weights: whether the stage at a position may end with other weights than those of
            its last epoch.
    """

    def __init__(
        self,
        folder: Path,
        keep: int = 2,
        has_best_weights: Callable[[int], bool] = lambda stage: False,
    ):
        self._folder = folder
        self._keep = keep
        self._has_best_weights = has_best_weights
        self._writer = ThreadPoolExecutor(1, "checkpoint", initializer=_lower_priority)
        self._pending: Future | None = None
        self._copy: dict = {}
        self._number = max(map(_number, self._files()), default=0)

    def exist(self) -> bool:
        """Returns whether there is a checkpoint after at least one step; it may be damaged."""
        return any(_NAME.fullmatch(path.name).group(2, 3) != ("0", "0") for path in self._files())

    def will_have_checkpoint(self) -> bool:
        """Returns the same once pending writes are on the disk."""
        if self._pending is not None:
            futures.wait([self._pending])
        return self.exist()

    def clear(self) -> None:
        """Removes all files; for a new run."""
        if multiprocess.is_main_process() and self._folder.is_dir():
            for path in self._folder.iterdir():
                if _NAME.fullmatch(path.name) or _BEST_NAME.fullmatch(path.name):
                    path.unlink()

    def save(self, model: keras.Model, progress: RunProgress) -> None:
        """Writes the state of model, optimizer and progress, and removes the oldest checkpoint.

        Raises:
            InputError: the checkpoint before couldn't be written.
        """
        self._number += 1
        name = (
            f"checkpoint-{self._number:06d}-stage-{progress.stage}-step-{progress.total_steps}"
            f"-kept-{progress.best_epoch}{SUFFIX}"
        )
        # What the writer had is written by now.
        self.wait()
        self._copy = state_arrays(model, self._copy)
        arrays, text = self._copy, progress.to_json()
        self._start(lambda: self._write(self._folder / name, arrays, text))

    def save_best_weights(self, model: keras.Model, progress: RunProgress) -> None:
        """Writes the weights that the stage would end with; call `save` after it.

        Raises:
            InputError: the file before couldn't be written.
        """
        self.wait()
        path, arrays = self._best_weights_path(progress, SUFFIX), weight_arrays(model)
        self._start(lambda: write_arrays(path, arrays))

    def wait(self) -> None:
        """Returns when all files are on the disk.

        Raises:
            InputError: one couldn't be written.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            try:
                pending.result()
            except InputError as error:
                how = (
                    "the checkpoint before it is kept: free space there, and rerun with --resume"
                    if self.exist()
                    else "there is no checkpoint before it: free space there, and start a new run"
                )
                raise InputError(f"{error}; {how}") from error
        multiprocess.barrier("checkpoints")

    def newest(self) -> tuple[Path, RunProgress] | None:
        """Finds the newest checkpoint that is intact, and removes newer ones that are not.

        Returns: its file, and where the run stood; None if there is none at all.
        Raises InputError: all are damaged.
        """
        damaged: list[tuple[Path, InputError]] = []
        for path in reversed(self._files()):
            try:
                progress = read_progress(path)
                if self._has_best_weights(progress.stage):
                    read_text(self._find_best_weights(progress))
            except InputError as error:
                damaged.append((path, error))
                continue
            for one, error in damaged:
                print(f"warning: {error}; resuming from the checkpoint before it", flush=True)
                if multiprocess.is_main_process():
                    one.unlink(missing_ok=True)
            return path, progress
        if damaged:
            raise InputError(
                f"{damaged[0][1]}; it is the last one, so the run can't be resumed: choose another "
                "--run-dir or delete this one"
            )
        return None

    def restore_newest(self, model: keras.Model, progress: RunProgress) -> None:
        """Fills model, optimizer and progress from the newest intact checkpoint; there is one.

        Raises InputError: all are damaged.
        """
        self.wait()
        path, _ = self.newest()
        progress.assign(load_checkpoint(path, model))

    def restore_best_weights(self, model: keras.Model, progress: RunProgress) -> None:
        """Restores the weights that the stage ends with.

        Raises:
            InputError: they are missing or damaged.
        """
        self.wait()
        try:
            load_weights(self._find_best_weights(progress), model)
        except InputError as error:
            raise InputError(
                f"{error}; these are the weights that the stage ends with, and the run can't go "
                "on without them: choose another run folder (--run-dir) or delete this one"
            ) from error

    def _best_weights_path(self, progress: RunProgress, suffix: str) -> Path:
        return self._folder / f"kept-{progress.stage}-{progress.best_epoch}{suffix}"

    def _find_best_weights(self, progress: RunProgress) -> Path:
        """Returns the path of the weights that a stage ends with, in the format that is there."""
        new, old = (
            self._best_weights_path(progress, SUFFIX),
            self._best_weights_path(progress, OLD_SUFFIX),
        )
        return old if old.exists() and not new.exists() else new

    def _files(self) -> list[Path]:
        """The checkpoints, newest last."""
        if not self._folder.is_dir():
            return []
        found = [path for path in self._folder.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=_number)

    def _start(self, write: Callable[[], None]) -> None:
        """Gives the writer its next file."""
        if multiprocess.is_main_process():
            self._pending = self._writer.submit(write)

    def _write(self, path: Path, arrays: Mapping[str, np.ndarray], progress: str) -> None:
        # Left by a run that was killed while writing.
        remove_partial(self._folder)
        write_arrays(path, arrays, progress)
        files = self._files()
        for old in files[: -self._keep]:
            old.unlink()
        wanted = {_NAME.fullmatch(file.name).group(2, 4) for file in files[-self._keep :]}
        for path in self._folder.iterdir():
            match = _BEST_NAME.fullmatch(path.name)
            if match and match.groups() not in wanted:
                path.unlink()


def _lower_priority() -> None:
    """Gives the calling thread the lowest priority."""
    # Elsewhere threads have no own niceness.
    if sys.platform == "linux":
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def _number(path: Path) -> int:
    return int(_NAME.fullmatch(path.name)[1])
