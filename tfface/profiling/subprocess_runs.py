"""Processes of their own: for memory that is theirs alone, and for settings read at their start."""

import contextlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from tfface.errors import InputError
from tfface.parent_process import end_with_parent

Result = TypeVar("Result")


class WorkerProcess:
    """A process in which functions are called, one after the other; ends with its `with` block.

    What it says on stderr is passed on only if a function fails.

    Args:
        environment: variables that it has beside the usual ones.
    """

    def __init__(self, environment: Mapping[str, str] | None = None):
        self._environment = environment or {}
        self._exit_stack = contextlib.ExitStack()

    def __enter__(self) -> "WorkerProcess":
        self._stderr = self._exit_stack.enter_context(tempfile.TemporaryFile())
        with _redirected_stderr(self._stderr), _environment_variables(self._environment):
            pool = multiprocessing.get_context("spawn").Pool(1, end_with_parent, (os.getpid(),))
            self._pool = self._exit_stack.enter_context(pool)
        return self

    def __exit__(self, *error: object) -> None:
        self._exit_stack.close()

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Calls a function of a module there; arguments and result are pickled."""
        try:
            return self._pool.apply(function, arguments)
        except Exception:
            self._stderr.seek(0)
            sys.stderr.write(self._stderr.read().decode(errors="replace"))
            raise

    def prepare(
        self, make: Callable[..., tuple[Callable[[], object], Result]], *arguments
    ) -> Result:
        """Calls a function that returns what `run` then calls, and something to be returned."""
        return self.call(_prepare, make, *arguments)

    def run(self) -> None:
        """Calls what was kept."""
        self.call(_run)


_prepared: list[Callable[[], object]] = []


def _prepare(make, *arguments):
    run, result = make(*arguments)
    _prepared[:] = [run]
    return result


def _run() -> None:
    _prepared[0]()


def run_in_subprocess(function: Callable[..., Result], *arguments: Any) -> Result:
    """Calls a function in a process of its own, so that only its memory counts."""
    with WorkerProcess() as process:
        return process.call(function, *arguments)


@contextlib.contextmanager
def _redirected_stderr(file: BinaryIO) -> Iterator[None]:
    """For processes that are started in the block; they keep it."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@contextlib.contextmanager
def _environment_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Likewise."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def reset_peak_memory() -> None:
    """Makes Linux count the process's peak memory from now on.

    Raises InputError: not on Linux.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError as error:
        raise InputError(
            f"peak memory can't be measured here: {error.strerror}; Linux is needed"
        ) from error


def peak_memory_bytes() -> int:
    """The most memory that this process has had since its start, or since `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
