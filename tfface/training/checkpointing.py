"""The checkpoints of a run: written while training goes on, the last few kept, and found again.

    checkpoints/checkpoint-000007-stage-0-step-120-kept-3.npz    the seventh, after 120 steps
    checkpoints/kept-0-3.npz                 weights of epoch 3, with which stage 0 would then end

Each file carries its checksum and has its name only when it is whole.
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
    """Returns model, optimizer and progress as they are now; all processes must call it.

    Args:
        reused: what an earlier call returned, to be overwritten: new memory takes ten times as long
            to fill.
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
    """Fills a compiled model and its optimizer from a file that holds what `state_arrays` returned.

    Raises InputError: the file is damaged, or belongs to another model.
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
    """Returns the weights alone as they are now; all processes must call it."""
    return {f"{i:05d}": value for i, value in enumerate(variable_values(model, model.weights))}


def load_weights(path: Path, model: keras.Model) -> None:
    """Fills a model with the weights in a file that holds what `weight_arrays` returned.

    Raises InputError: the file is missing or damaged, or belongs to another model.
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
    """Returns where a run stood (the optimizer of its stage has to be built before `load`).

    Raises InputError: the file is missing or damaged.
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
    """Returns values of a model's or its optimizer's variables as a run on one device has them.

    All processes must call it.
    """
    return [np.array(_value(model, variable)) for variable in variables]


def metric_values(model: keras.Model) -> list[float]:
    """Returns the values of a model's metrics' variables; all processes must call it."""
    return [float(value) for value in variable_values(model, model.metrics_variables)]


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


_NAME = re.compile(r"checkpoint-(\d+)-stage-(\d+)-step-(\d+)-kept-(\d+)\.npz")
_KEPT_NAME = re.compile(r"kept-(\d+)-(\d+)\.npz")
# The least: the writer has the time that steps leave, and all of it when the next save waits.
_NICENESS = 19


class CheckpointManager:
    """The checkpoints in one folder. Of several processes one writes; all must call each method.

    Files are written by a thread of its own from a copy in memory, so a step waits for the copying
    alone. What goes wrong in it is raised by the next call. The memory of the copy is kept.

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
        self._writer = ThreadPoolExecutor(1, "checkpoint", initializer=_give_way)
        self._pending: Future | None = None
        self._copy: dict = {}
        self._number = max(map(_number, self._files()), default=0)

    def exist(self) -> bool:
        """Whether there is one, whole or not, that a step was made for.

        One of the very beginning is worth nothing: a new run makes the same.
        """
        return any(_NAME.fullmatch(path.name).group(2, 3) != ("0", "0") for path in self._files())

    def will_have_checkpoint(self) -> bool:
        """Likewise, when what is being written is on the disk."""
        if self._pending is not None:
            futures.wait([self._pending])
        return self.exist()

    def clear(self) -> None:
        """Removes all, of a run that begins anew."""
        if multiprocess.is_main_process() and self._folder.is_dir():
            for path in self._folder.iterdir():
                if _NAME.fullmatch(path.name) or _KEPT_NAME.fullmatch(path.name):
                    path.unlink()

    def save(self, model: keras.Model, progress: Progress) -> None:
        """Writes model, optimizer and progress as they are now, and removes the oldest.

        Raises InputError: the one before couldn't be written.
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
        """Writes the weights that the stage would end with; to be followed by `save`.

        Raises InputError: what was to be written before couldn't be.
        """
        self.wait()
        path, arrays = self._kept(progress), weight_arrays(model)
        self._start(lambda: write_with_checksum(path, arrays))

    def wait(self) -> None:
        """Returns when all is on the disk.

        Raises InputError: it couldn't be written.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            try:
                pending.result()
            except InputError as error:
                how = (
                    "the checkpoint before it is kept: make room there, and go on with --resume"
                    if self.exist()
                    else "there is no checkpoint before it: make room there, and start anew"
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
                f"{damaged[0][1]}; it is the last one, so the run can't go on: choose another "
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
        """Fills the model with the weights that the stage ends with.

        Raises InputError: they are missing or damaged.
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
        """Lets the writer write, when what it had is written."""
        if multiprocess.is_main_process():
            self._pending = self._writer.submit(write)

    def _write(self, path: Path, arrays: dict) -> None:
        # What a run left that was killed while writing.
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


def _give_way() -> None:
    """Lets the calling thread have little more than the time that steps leave."""
    # Elsewhere threads have no niceness of their own.
    if sys.platform == "linux":
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def _number(path: Path) -> int:
    return int(_NAME.fullmatch(path.name)[1])


_SEAL = 64
_BLOCK = 1 << 22
_PART = 1 << 20


def write_with_checksum(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes the arrays, whole or not at all.

    Raises InputError: the disk is full, or the folder can't be written.
    """
    with replacing(path) as temporary, temporary.open("r+b") as file:
        hashed = _Hashed(file)
        with zipfile.ZipFile(hashed, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    _write_array(entry, array)
            archive.comment = b"0" * _SEAL
        _write_seal(file, hashed.digest())


def seal(path: Path) -> None:
    """Makes the last bytes of a file the checksum of those before them."""
    with path.open("r+b") as file:
        _write_seal(file, _digest(file, path.stat().st_size - _SEAL))


def _write_array(file: BinaryIO, array: np.ndarray) -> None:
    """Does what `numpy.lib.format.write_array` does, without its copy of each part."""
    array = np.ascontiguousarray(array).reshape(array.shape)
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, header)
    data = array.reshape(-1).view(np.uint8).data
    # Parts that stay in the processor's cache while they are summed up and written.
    for start in range(0, len(data), _PART):
        file.write(data[start : start + _PART])


class _Hashed:
    """A file that is written from front to back, and hashed but for its last `_SEAL` bytes.

    Reading it again for that takes as long as writing it.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self._hash = hashlib.sha256()
        # Not hashed yet: the end may be in it.
        self._tail = b""

    def write(self, data: bytes | memoryview) -> int:
        number = self._file.write(data)
        if len(data) < _SEAL:
            data = self._tail + bytes(data)
        else:
            self._hash.update(self._tail)
        self._hash.update(memoryview(data)[:-_SEAL])
        self._tail = bytes(data[-_SEAL:])
        return number

    def flush(self) -> None:
        self._file.flush()

    def digest(self) -> bytes:
        return self._hash.hexdigest().encode()


def _write_seal(file: BinaryIO, digest: bytes) -> None:
    file.seek(-_SEAL, 2)
    file.write(digest)
    file.flush()
    # A machine that loses its power may else have the name without the bytes.
    os.fsync(file.fileno())


@contextmanager
def open_verified(path: Path, otherwise: str) -> Iterator[Mapping[str, np.ndarray]]:
    """Opens such a file, as `reading_npz` does, once all of it is found as it was written.

    Raises InputError: it is missing or not as it was written; or what `reading_npz` raises.
    """
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2) - _SEAL
            is_whole = size > 0 and _seal(file) == _digest(file, size)
    except OSError as error:
        raise InputError(f"{path}: {otherwise}: {error.strerror or error}") from error
    if not is_whole:
        raise InputError(f"{path}: {otherwise}: its bytes are not those of its checksum")
    with reading_npz(path, otherwise) as arrays:
        yield arrays


def _seal(file: BinaryIO) -> bytes:
    file.seek(-_SEAL, 2)
    return file.read(_SEAL)


def _digest(file: BinaryIO, size: int) -> bytes:
    """Of the first `size` bytes."""
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0:
        block = file.read(min(size, _BLOCK))
        if not block:
            break
        digest.update(block)
        size -= len(block)
    return digest.hexdigest().encode()
