"""SIGINT, SIGTERM and SIGHUP: where nothing is lost by it, a run ends at once, else after a
checkpoint."""

import os
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class TrainingInterrupted(KeyboardInterrupt):
    """The run was asked to end, and can be gone on with. Its text is the name of the signal.

    Args:
        signal_name: "" where another of several processes has heard the signal.
    """

    def __init__(self, signal_name: str):
        super().__init__(signal_name or signal.SIGTERM.name)

    @property
    def exit_code(self) -> int:
        """As shells count it, so that whoever has started the run doesn't take it for finished."""
        return 128 + signal.Signals[str(self)]


class PreemptionHandler:
    """Listens to the signals within `with`, and has the old handlers back after it.

    Attributes:
        requested: the signal's name, or "" as long as none came.
    """

    def __init__(self):
        self.requested = ""
        self._is_deferred = False
        self._before: dict = {}

    def __enter__(self) -> "PreemptionHandler":
        # Elsewhere Python allows no handlers; the program around decides then.
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._note)
                for number in _SIGNALS
                if not _is_to_be_ignored(number)
            }
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within the block a signal is only noted; who looks at `requested` has to act on it."""
        before, self._is_deferred = self._is_deferred, True
        try:
            yield
        finally:
            self._is_deferred = before

    def check(self) -> None:
        """Raises TrainingInterrupted: a signal was noted."""
        if self.requested:
            raise TrainingInterrupted(self.requested)

    def _note(self, number: int, frame) -> None:
        is_second = bool(self.requested)
        self.requested = signal.Signals(number).name
        if number == signal.SIGHUP:
            _forget_gone_terminal()
        if is_second and number == signal.SIGINT:
            # Who asks twice doesn't want to wait.
            raise KeyboardInterrupt
        if not self._is_deferred:
            raise TrainingInterrupted(self.requested)


def _is_to_be_ignored(number: int) -> bool:
    """Whether the run was started by nohup, to outlive its terminal."""
    return number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN


def _forget_gone_terminal() -> None:
    """Sends what would go to a terminal that is closed nowhere: writing to it would fail."""
    for stream in (1, 2):
        # What is closed needs no care.
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode) and not os.isatty(stream):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream)
                os.close(nowhere)
