"""Runs functions in subprocesses: to measure their memory alone, or with other environments."""

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
    """A subprocess that calls functions one after another until its `with` block ends.

    Its stderr is printed only if a function fails.

    Args:
        environment: Environment variables to set in addition to those of this process.
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
        """Calls a function in the subprocess and returns its result.

        Args:
            function: A function of a module. It, its arguments and its result are pickled.
            *arguments: Its arguments.
        """
        try:
            return self._pool.apply(function, arguments)
        except Exception:
            self._stderr.seek(0)
            sys.stderr.write(self._stderr.read().decode(errors="replace"))
            raise

    def prepare(
        self, make: Callable[..., tuple[Callable[[], object], Result]], *arguments
    ) -> Result:
        """Builds in the subprocess what `run` then calls.

        Args:
            make: Returns the function for `run`, which stays in the subprocess, and a result.
            *arguments: Arguments of `make`, pickled.

        Returns:
            The result.
        """
        return self.call(_prepare, make, *arguments)

    def run(self) -> None:
        """Calls the function that `prepare` built."""
        self.call(_run)


_prepared: list[Callable[[], object]] = []


def _prepare(make, *arguments):
    run, result = make(*arguments)
    _prepared[:] = [run]
    return result


def _run() -> None:
    _prepared[0]()


def run_in_subprocess(function: Callable[..., Result], *arguments: Any) -> Result:
    """Calls a function in a new subprocess, whose memory nothing else uses.

    Args:
        function: A function of a module. It, its arguments and its result are pickled.
        *arguments: Its arguments.

    Returns:
        Its result.
    """
    with WorkerProcess() as process:
        return process.call(function, *arguments)


@contextlib.contextmanager
def _redirected_stderr(file: BinaryIO) -> Iterator[None]:
    """Redirects the stderr of the processes that start in the block, for as long as they run."""
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
    """Sets environment variables for the processes that start in the block."""
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
    """Resets the peak memory of this process to its current memory.

    Raises:
        InputError: The system is not Linux.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError as error:
        raise InputError(
            f"peak memory can't be measured here: {error.strerror}; Linux is needed"
        ) from error


def peak_memory_bytes() -> int:
    """Returns the peak resident memory of this process since its start or `reset_peak_memory`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
