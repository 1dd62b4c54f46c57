"""Stopping on SIGINT, SIGTERM and SIGHUP: after a checkpoint where anything would be lost."""

import os
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import keras

from tfface.signals import ENDING, HANGUP, is_ignored
from tfface.training import multiprocess
from tfface.training.callbacks.checkpointing import Checkpointing
from tfface.training.run_progress import READ_EVERY_STEPS, RunProgress


class TrainingInterrupted(KeyboardInterrupt):
    """A signal asked the run to end; the run can be resumed. Its text is the name of the signal.

    Args:
        signal_name: "" where another of several processes received the signal.

    Example:
        >>> TrainingInterrupted("SIGINT").exit_code
        130
    """

    def __init__(self, signal_name: str):
        super().__init__(signal_name or signal.SIGTERM.name)

    @property
    def exit_code(self) -> int:
        """As shells count it, so that schedulers do not take the run for finished."""
        return 128 + signal.Signals[str(self)]


class PreemptionHandler:
    """Handles the signals within `with`, and restores the handlers from before after it.

    Attributes:
        requested: the signal's name, or "" as long as none came.

    Example:
        >>> with PreemptionHandler() as handler, handler.deferred():
        ...     signal.raise_signal(signal.SIGTERM)
        ...     handler.requested
        'SIGTERM'
    """

    def __init__(self):
        self.requested = ""
        self._is_deferred = False
        self._before: dict = {}

    def __enter__(self) -> "PreemptionHandler":
        # Elsewhere Python allows no handlers; the program around decides then.
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._handle)
                for number in ENDING
                if not is_ignored(number)
            }
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within the block a signal only sets `requested`, which the block has to act on."""
        before, self._is_deferred = self._is_deferred, True
        try:
            yield
        finally:
            self._is_deferred = before

    def check(self) -> None:
        """Raises TrainingInterrupted: a signal came."""
        if self.requested:
            raise TrainingInterrupted(self.requested)

    def _handle(self, number: int, frame) -> None:
        is_second = bool(self.requested)
        self.requested = signal.Signals(number).name
        if number == HANGUP:
            _detach_closed_terminal()
        if is_second and number == signal.SIGINT:
            # A second Ctrl-C does not wait.
            raise KeyboardInterrupt
        if not self._is_deferred:
            raise TrainingInterrupted(self.requested)


class Preemption(keras.callbacks.Callback):
    """Ends the run after a checkpoint, at the next step or epoch, once a signal has come.

    It comes after `Checkpointing`, whose checkpoint it may use.

    Args:
        handler: notes the signals.
        progress: where the run stands.
        checkpointing: writes the checkpoint.
    """

    def __init__(
        self, handler: PreemptionHandler, progress: RunProgress, checkpointing: Checkpointing
    ):
        super().__init__()
        self._handler = handler
        self._progress = progress
        self._checkpointing = checkpointing

    def on_train_batch_end(self, batch, logs=None):
        if self._progress.step == self.params["steps"]:
            return
        # All processes must decide alike, and asking the others takes time.
        if multiprocess.process_count() > 1 and self._progress.step % READ_EVERY_STEPS:
            return
        if self._is_requested():
            self._checkpointing.save_within_epoch()
            self.interrupt()

    def on_epoch_end(self, epoch, logs=None):
        if self._is_requested():
            self.interrupt()

    def interrupt(self) -> None:
        """Raises TrainingInterrupted, once what was saved is on the disk."""
        with self._handler.deferred():
            self._checkpointing.wait()
        raise TrainingInterrupted(self._handler.requested)

    def _is_requested(self) -> bool:
        (is_requested,) = multiprocess.any_process(bool(self._handler.requested))
        return is_requested


def _detach_closed_terminal() -> None:
    """Redirects output to a closed terminal to nowhere: writing to it would fail."""
    for stream in (1, 2):
        # A closed stream needs no care.
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode) and not os.isatty(stream):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream)
                os.close(nowhere)
