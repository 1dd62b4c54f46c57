"""The signals that ask this process to end."""

import signal

# The terminal is gone; Windows has no such signal.
HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
ENDING: tuple[signal.Signals, ...] = (
    signal.SIGINT,
    signal.SIGTERM,
    *([] if HANGUP is None else [HANGUP]),
)


def is_ignored(number: int) -> bool:
    """Whether nohup has started this process, to outlive its terminal."""
    return number == HANGUP and signal.getsignal(number) == signal.SIG_IGN
