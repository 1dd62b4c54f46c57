"""Runs cases of fuzzing in a process of their own, watched, with little time and memory for each.

    python -m tests.fuzz.runner FOLDER KIND:FIRST:END ...

prints a line for each case: its kind and number, how it ended, and what it did that it mustn't. A
case that hangs or crashes ends the process, so that its number is the last; who started it goes on
behind.
"""

import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

SECONDS = 30
MEMORY_BYTES = 1 << 30

# What no reader of a file does.
_FORBIDDEN = {
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.putenv",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.spawn",
    "os.symlink",
    "os.system",
    "pickle.find_class",
    "shutil.rmtree",
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "subprocess.Popen",
}


class Watch:
    """Notes what is done while a case runs.

    Args:
        folder: what lies in it may be read, and in `folder/new-..` written. `folder/../secret` may
            not be read.
    """

    def __init__(self, folder: Path):
        self.is_on = False
        self.noticed: list[str] = []
        self._new = str(folder / "new")
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple) -> None:
        if not self.is_on:
            return
        if event in _FORBIDDEN:
            self.noticed.append(f"{event} {arguments!r}"[:200])
        elif event == "open":
            path, _, flags = arguments
            path = os.fsdecode(path) if isinstance(path, str | bytes) else ""
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            # Python keeps what it has compiled of modules that it imports.
            if writes and not path.startswith(self._new) and "__pycache__" not in path:
                self.noticed.append(f"opens {path} to write")
            if "secret" in path:
                self.noticed.append(f"reads {path}")
        elif event == "import" and arguments[0] == "tfface_trap":
            self.noticed.append("imports tfface_trap")


def main(folder: Path, ranges: list[str]) -> None:
    # In this order: TensorFlow's own reads and writes are of no interest.
    from tfface.quiet_tensorflow import import_tensorflow

    import_tensorflow("tensorflow", for_command=True)
    from tests.fuzz.kinds import KINDS

    # Its notes would stand in the lines of cases.
    logging.getLogger("tfface").setLevel(logging.WARNING)
    plan = [(kind, int(first), int(end)) for kind, first, end in (r.split(":") for r in ranges)]
    for kind, _, _ in plan:
        KINDS[kind].warm_up(folder)
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY_BYTES,) * 2)
    watch = Watch(folder)
    for kind, first, end in plan:
        for number in range(first, end):
            print(f"{kind} {number}: ", end="", flush=True)
            case = KINDS[kind].case(folder, number)
            print(_run(case, watch), flush=True)
            KINDS[kind].clean_up(folder)


def _run(case: Callable[[], object], watch: Watch) -> str:
    from tfface.errors import InputError

    started = time.monotonic()
    # Of the processor: the machine may be busy with other things.
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    watch.is_on = True
    try:
        outcome = f"gave {type(case()).__name__}"
    except InputError as error:
        text = str(error)
        fine = text and text.replace("\n", "").isprintable() and "Traceback" not in text
        outcome = f"InputError {text[:150]!r}" if fine else f"NO CLEAR LINE {text[:300]!r}"
    except BaseException as error:
        outcome = f"TRACEBACK {type(error).__name__} {str(error)[:300]!r}"
    watch.is_on = False
    signal.setitimer(signal.ITIMER_PROF, 0)
    seconds = time.monotonic() - started
    if watch.noticed:
        outcome = f"CODE RUN {watch.noticed} {outcome}"
        watch.noticed = []
    return f"{outcome} [{seconds:.1f} s]"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
