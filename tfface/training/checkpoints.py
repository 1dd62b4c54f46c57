"""The checkpoints of a run: written while training goes on, the last few kept, and found again.

    checkpoints/checkpoint-000007-stage-0-step-120-kept-3.npz    the seventh, after 120 steps
    checkpoints/kept-0-3.npz                 weights of epoch 3, with which stage 0 would then end

Each file carries its checksum and has its name only when it is whole.
"""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import keras

from tfface.errors import InputError
from tfface.files import remove_partial
from tfface.training import checkpoint, multiprocess
from tfface.training.checkpoint import Progress
from tfface.training.sealed_arrays import write_sealed

_NAME = re.compile(r"checkpoint-(\d+)-stage-(\d+)-step-(\d+)-kept-(\d+)\.npz")
_KEPT_NAME = re.compile(r"kept-(\d+)-(\d+)\.npz")
# The least: the writer has the time that steps leave, and all of it when the next save waits.
_NICENESS = 19


class Checkpoints:
    """The checkpoints in one folder. Of several processes one writes; all must call each method.

    Files are written by a thread of its own from a copy in memory, so a step waits for the copying
    alone. What goes wrong in it is raised by the next call. The memory of the copy is kept.

    Args:
        folder: made when it is needed.
        keep: how many stay, > 0; with each the weights that it would end with.
    """

    def __init__(self, folder: Path, keep: int = 2):
        self._folder = folder
        self._keep = keep
        self._writer = ThreadPoolExecutor(1, "checkpoint", initializer=_give_way)
        self._pending: Future | None = None
        self._copy: dict = {}
        self._number = max(map(_number, self._files()), default=0)

    def exist(self) -> bool:
        """Whether there is one, whole or not, that a step was made for.

        One of the very beginning is worth nothing: a new run makes the same.
        """
        return any(_NAME.fullmatch(path.name).group(2, 3) != ("0", "0") for path in self._files())

    def will_exist(self) -> bool:
        """Likewise, when what is being written is on the disk."""
        if self._pending is not None:
            futures.wait([self._pending])
        return self.exist()

    def clear(self) -> None:
        """Removes all, of a run that begins anew."""
        if multiprocess.is_writer() and self._folder.is_dir():
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
        self._copy = checkpoint.arrays_of(model, progress, self._copy)
        arrays = self._copy
        self._start(lambda: self._write(self._folder / name, arrays))

    def keep_weights(self, model: keras.Model, progress: Progress) -> None:
        """Writes the weights that the stage would end with; to be followed by `save`.

        Raises InputError: what was to be written before couldn't be.
        """
        self.wait()
        path, arrays = self._kept(progress), checkpoint.weights_of(model)
        self._start(lambda: write_sealed(path, arrays))

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
        multiprocess.wait("checkpoints")

    def newest(self, keeps_weights: Callable[[int], bool]) -> tuple[Path, Progress] | None:
        """Finds the newest checkpoint that is whole, and removes newer ones that are not.

        Args:
            keeps_weights: whether a stage may end with other weights than those of its last epoch.
        Returns: its file, and where the run stood; None if there is none at all.
        Raises InputError: all are damaged.
        """
        damaged: list[tuple[Path, InputError]] = []
        for path in reversed(self._files()):
            try:
                progress = checkpoint.read_progress(path)
                if keeps_weights(progress.stage):
                    checkpoint.check_weights(self._kept(progress))
            except InputError as error:
                damaged.append((path, error))
                continue
            for one, error in damaged:
                print(f"warning: {error}; going on from the checkpoint before it", flush=True)
                if multiprocess.is_writer():
                    one.unlink(missing_ok=True)
            return path, progress
        if damaged:
            raise InputError(
                f"{damaged[0][1]}; it is the last one, so the run can't go on: choose another "
                "--run-dir or delete this one"
            )
        return None

    def take_kept_weights(self, model: keras.Model, progress: Progress) -> None:
        """Fills the model with the weights that the stage ends with.

        Raises InputError: they are missing or damaged.
        """
        self.wait()
        try:
            checkpoint.load_weights(self._kept(progress), model)
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
        if multiprocess.is_writer():
            self._pending = self._writer.submit(write)

    def _write(self, path: Path, arrays: dict) -> None:
        # What a run left that was killed while writing.
        remove_partial(self._folder)
        write_sealed(path, arrays)
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
