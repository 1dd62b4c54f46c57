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


class OwnProcess:
    """A process in which functions are called, one after the other; ends with its `with` block.

    What it says on stderr is passed on only if a function fails.

    Args:
        environment: variables that it has beside the usual ones.
    """

    def __init__(self, environment: Mapping[str, str] | None = None):
        self._environment = environment or {}
        self._end = contextlib.ExitStack()

    def __enter__(self) -> "OwnProcess":
        self._heard = self._end.enter_context(tempfile.TemporaryFile())
        with _stderr_into(self._heard), _with_variables(self._environment):
            pool = multiprocessing.get_context("spawn").Pool(1, end_with_parent, (os.getpid(),))
            self._pool = self._end.enter_context(pool)
        return self

    def __exit__(self, *error: object) -> None:
        self._end.close()

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Calls a function of a module there; arguments and result are pickled."""
        try:
            return self._pool.apply(function, arguments)
        except Exception:
            self._heard.seek(0)
            sys.stderr.write(self._heard.read().decode(errors="replace"))
            raise

    def keep(self, make: Callable[..., tuple[Callable[[], object], Result]], *arguments) -> Result:
        """Calls a function that returns what `run` then calls, and something to be returned."""
        return self.call(_keep, make, *arguments)

    def run(self) -> None:
        """Calls what was kept."""
        self.call(_run)


_kept: list[Callable[[], object]] = []


def _keep(make, *arguments):
    run, result = make(*arguments)
    _kept[:] = [run]
    return result


def _run() -> None:
    _kept[0]()


def in_process(function: Callable[..., Result], *arguments: Any) -> Result:
    """Calls a function in a process of its own, so that only its memory counts."""
    with OwnProcess() as process:
        return process.call(function, *arguments)


@contextlib.contextmanager
def _stderr_into(file: BinaryIO) -> Iterator[None]:
    """For processes that are started in the block; they keep it."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def _with_variables(variables: Mapping[str, str]) -> Iterator[None]:
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


def forget_peak() -> None:
    """Makes Linux count the process's peak memory from now on.

    Raises InputError: not on Linux.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError as error:
        raise InputError(
            f"peak memory can't be measured here: {error.strerror}; Linux is needed"
        ) from error


def peak_bytes() -> int:
    """The most memory that this process has had since its start, or since `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
