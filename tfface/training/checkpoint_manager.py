"""The checkpoints of a run: files in its folder, of which the newest stay.

    checkpoints/checkpoint-000007-stage-0-step-120-kept-3.safetensors   the seventh, after 120 steps
    checkpoints/kept-0-3.safetensors   weights of epoch 3, with which stage 0 would then end

`checkpoint_state.py` says what they hold, `checkpoint_file.py` has the format. All processes
gather the state, and the main process writes it.
"""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np

from tfface.errors import InputError, note
from tfface.files import remove_partial
from tfface.training import multiprocess
from tfface.training.checkpoint_file import OLD_SUFFIX, SUFFIX, read_text, write_arrays
from tfface.training.checkpoint_state import (
    load_checkpoint,
    load_weights,
    read_progress,
    state_arrays,
    weight_arrays,
)
from tfface.training.run_progress import RunProgress

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
                note(f"warning: {error}; resuming from the checkpoint before it")
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
