"""Checkpoints: the state of a run, and its files in the run folder.

    checkpoints/checkpoint-000007-stage-0-step-120-kept-3.npz    the seventh, after 120 steps
    checkpoints/kept-0-3.npz                 weights of epoch 3, with which stage 0 would then end

A file is one that `numpy.load` reads. It has its name only when it is complete. Its zip comment,
the last bytes of the file, is the SHA-256 of all bytes before it in hexadecimal: any byte that is
changed, missing or added is detected. (The checksums of a zip don't cover its own headers.)
"""

import contextlib
import hashlib
import os
import re
import sys
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import keras
import numpy as np

from tfface.backbones.normalization import use_weights
from tfface.errors import InputError
from tfface.files import remove_partial, replacing
from tfface.npz_file import reading_npz
from tfface.training import multiprocess
from tfface.training.distribution import fetch, put
from tfface.training.progress import Progress, parse_progress

_DAMAGED = "not a readable checkpoint"


def state_arrays(
    model: keras.Model, progress: Progress, reused: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Returns a copy of the state of model, optimizer and progress; all processes must call it.

    Args:
        model: compiled.
        progress: where the run stands.
        reused: the arrays of an earlier call, to be overwritten: new memory takes ten times as
            long to fill.
    """
    arrays = {"progress": np.array(progress.to_json())}
    for key, variable in _variables(model).items():
        value = _value(model, variable)
        array = (reused or {}).get(key)
        if array is None or array.shape != value.shape or array.dtype != value.dtype:
            array = np.empty_like(value)
        np.copyto(array, value)
        arrays[key] = array
    return arrays


def load_checkpoint(path: Path, model: keras.Model) -> Progress:
    """Restores a compiled model and its optimizer from a checkpoint.

    Returns:
        Where the run stood.

    Raises:
        InputError: the file is damaged, or belongs to another model.
    """
    with open_verified(path, _DAMAGED) as file:
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


def weight_arrays(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns a copy of the weights alone; all processes must call it."""
    return {f"{i:05d}": value for i, value in enumerate(variable_values(model, model.weights))}


def load_weights(path: Path, model: keras.Model) -> None:
    """Restores the weights of a model from a file of `weight_arrays`.

    Raises:
        InputError: the file is missing or damaged, or belongs to another model.
    """
    with open_verified(path, _DAMAGED) as file:
        arrays = [file[key] for key in file]
    wanted = [(_shape(model, v), v.dtype) for v in model.weights]
    if wanted != [(array.shape, array.dtype.name) for array in arrays]:
        raise InputError(f"{path}: the weights of another model")
    for variable, array in zip(model.weights, arrays, strict=True):
        put(variable, array)
    use_weights(model)


def read_progress(path: Path) -> Progress:
    """Returns where a run stood; `load_checkpoint` needs the optimizer of that stage.

    Raises:
        InputError: the file is missing or damaged.
    """
    with open_verified(path, _DAMAGED) as file:
        return _progress(file)


def check_weights(path: Path) -> None:
    """Raises InputError: the file that `load_weights` would read is missing or damaged."""
    with open_verified(path, _DAMAGED):
        pass


def _progress(file: Mapping[str, np.ndarray]) -> Progress:
    return parse_progress(str(file["progress"]))


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


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns every variable that training changes, random seeds included, by a stable name."""
    metrics = {id(variable) for variable in model.metrics_variables}
    state = [variable for variable in model.variables if id(variable) not in metrics]
    # By position: paths contain counters that differ from process to process.
    named = {f"model/{i:05d}": variable for i, variable in enumerate(state)}
    named |= {f"optimizer/{i:05d}": v for i, v in enumerate(model.optimizer.variables)}
    return named


_NAME = re.compile(r"checkpoint-(\d+)-stage-(\d+)-step-(\d+)-kept-(\d+)\.npz")
_KEPT_NAME = re.compile(r"kept-(\d+)-(\d+)\.npz")
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
                if _NAME.fullmatch(path.name) or _KEPT_NAME.fullmatch(path.name):
                    path.unlink()

    def save(self, model: keras.Model, progress: Progress) -> None:
        """Writes the state of model, optimizer and progress, and removes the oldest checkpoint.

        Raises:
            InputError: the checkpoint before couldn't be written.
        """
        self._number += 1
        name = (
            f"checkpoint-{self._number:06d}-stage-{progress.stage}-step-{progress.total_steps}"
            f"-kept-{progress.kept_epoch}.npz"
        )
        # What the writer had is written by now.
        self.wait()
        self._copy = state_arrays(model, progress, self._copy)
        arrays = self._copy
        self._start(lambda: self._write(self._folder / name, arrays))

    def save_best_weights(self, model: keras.Model, progress: Progress) -> None:
        """Writes the weights that the stage would end with; call `save` after it.

        Raises:
            InputError: the file before couldn't be written.
        """
        self.wait()
        path, arrays = self._kept(progress), weight_arrays(model)
        self._start(lambda: write_with_checksum(path, arrays))

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

    def newest(self) -> tuple[Path, Progress] | None:
        """Finds the newest checkpoint that is intact, and removes newer ones that are not.

        Returns: its file, and where the run stood; None if there is none at all.
        Raises InputError: all are damaged.
        """
        damaged: list[tuple[Path, InputError]] = []
        for path in reversed(self._files()):
            try:
                progress = read_progress(path)
                if self._has_best_weights(progress.stage):
                    check_weights(self._kept(progress))
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

    def restore_newest(self, model: keras.Model, progress: Progress) -> None:
        """Fills model, optimizer and progress from the newest intact checkpoint; there is one.

        Raises InputError: all are damaged.
        """
        self.wait()
        path, _ = self.newest()
        progress.assign(load_checkpoint(path, model))

    def restore_best_weights(self, model: keras.Model, progress: Progress) -> None:
        """Restores the weights that the stage ends with.

        Raises:
            InputError: they are missing or damaged.
        """
        self.wait()
        try:
            load_weights(self._kept(progress), model)
        except InputError as error:
            raise InputError(
                f"{error}; these are the weights that the stage ends with, and the run can't go "
                "on without them: choose another --run-dir or delete this one"
            ) from error

    def _kept(self, progress: Progress) -> Path:
        return self._folder / f"kept-{progress.stage}-{progress.kept_epoch}.npz"

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

    def _write(self, path: Path, arrays: dict) -> None:
        # Left by a run that was killed while writing.
        remove_partial(self._folder)
        write_with_checksum(path, arrays)
        files = self._files()
        for old in files[: -self._keep]:
            old.unlink()
        wanted = {_NAME.fullmatch(file.name).group(2, 4) for file in files[-self._keep :]}
        for kept in self._folder.iterdir():
            match = _KEPT_NAME.fullmatch(kept.name)
            if match and match.groups() not in wanted:
                kept.unlink()


def _lower_priority() -> None:
    """Gives the calling thread the lowest priority."""
    # Elsewhere threads have no own niceness.
    if sys.platform == "linux":
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def _number(path: Path) -> int:
    return int(_NAME.fullmatch(path.name)[1])


_CHECKSUM_BYTES = 64
_BLOCK = 1 << 22
_PART = 1 << 20


def write_with_checksum(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an `.npz` file with a checksum, complete or not at all.

    Raises:
        InputError: the disk is full, or the folder can't be written.
    """
    with replacing(path) as temporary, temporary.open("r+b") as file:
        hashed = _Hashed(file)
        with zipfile.ZipFile(hashed, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    _write_array(entry, array)
            archive.comment = b"0" * _CHECKSUM_BYTES
        _write_checksum(file, hashed.digest())


def update_checksum(path: Path) -> None:
    """Recomputes the checksum of a file that was changed; for tests."""
    with path.open("r+b") as file:
        _write_checksum(file, _digest(file, path.stat().st_size - _CHECKSUM_BYTES))


def _write_array(file: BinaryIO, array: np.ndarray) -> None:
    """Writes as `numpy.lib.format.write_array` does, without its copy of each part."""
    array = np.ascontiguousarray(array).reshape(array.shape)
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, header)
    data = array.reshape(-1).view(np.uint8).data
    # Parts that stay in the processor's cache while they are hashed and written.
    for start in range(0, len(data), _PART):
        file.write(data[start : start + _PART])


class _Hashed:
    """A file that is hashed while it is written, but for its last `_CHECKSUM_BYTES` bytes.

    Hashing it afterwards would take as long as writing it.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self._hash = hashlib.sha256()
        # Not hashed yet: it may be the end.
        self._tail = b""

    def write(self, data: bytes | memoryview) -> int:
        number = self._file.write(data)
        if len(data) < _CHECKSUM_BYTES:
            data = self._tail + bytes(data)
        else:
            self._hash.update(self._tail)
        self._hash.update(memoryview(data)[:-_CHECKSUM_BYTES])
        self._tail = bytes(data[-_CHECKSUM_BYTES:])
        return number

    def flush(self) -> None:
        self._file.flush()

    def digest(self) -> bytes:
        return self._hash.hexdigest().encode()


def _write_checksum(file: BinaryIO, digest: bytes) -> None:
    file.seek(-_CHECKSUM_BYTES, 2)
    file.write(digest)
    file.flush()
    # Otherwise a power cut may leave the name without the bytes.
    os.fsync(file.fileno())


@contextmanager
def open_verified(path: Path, otherwise: str) -> Iterator[Mapping[str, np.ndarray]]:
    """Opens a file of `write_with_checksum` as `reading_npz` does, once its checksum is verified.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2) - _CHECKSUM_BYTES
            is_whole = size > 0 and _checksum(file) == _digest(file, size)
    except OSError as error:
        raise InputError(f"{path}: {otherwise}: {error.strerror or error}") from error
    if not is_whole:
        raise InputError(f"{path}: {otherwise}: its bytes are not those of its checksum")
    with reading_npz(path, otherwise) as arrays:
        yield arrays


def _checksum(file: BinaryIO) -> bytes:
    file.seek(-_CHECKSUM_BYTES, 2)
    return file.read(_CHECKSUM_BYTES)


def _digest(file: BinaryIO, size: int) -> bytes:
    """Returns the SHA-256 of the first `size` bytes in hexadecimal."""
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0:
        block = file.read(min(size, _BLOCK))
        if not block:
            break
        digest.update(block)
        size -= len(block)
    return digest.hexdigest().encode()
