"""SIGINT and SIGTERM: where nothing is lost by it, a run ends at once, else after a checkpoint."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption(KeyboardInterrupt):
    """The run was asked to end, and can be gone on with. Its text is the name of the signal."""


class Interruptions:
    """Listens to the signals within `with`, and has the old handlers back after it.

    Attributes:
        requested: the signal's name, or "" as long as none came.
    """

    def __init__(self):
        self.requested = ""
        self._is_deferred = False
        self._before: dict = {}

    def __enter__(self) -> "Interruptions":
        # Elsewhere Python allows no handlers; the program around decides then.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
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
        """Raises Interruption: a signal was noted."""
        if self.requested:
            raise Interruption(self.requested)

    def _note(self, number: int, frame) -> None:
        is_second = bool(self.requested)
        self.requested = signal.Signals(number).name
        if is_second and number == signal.SIGINT:
            # Who asks twice doesn't want to wait.
            raise KeyboardInterrupt
        if not self._is_deferred:
            raise Interruption(self.requested)
