"""Reading files that were made to harm: in a process of their own, with little time and memory."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 90
MEMORY_BYTES = 600 << 20


def outcomes_of(module: str, names: Iterable[str]) -> dict[str, str]:
    """Returns how these of a module's `CASES` ended: `report`, in a fresh process and folder."""
    cases = f"{{name: CASES[name] for name in {[*names]!r}}}"
    code = (
        "from tfface.quiet_tensorflow import import_tensorflow\n"
        "import_tensorflow('tensorflow', for_command=True)\n"
        f"from {module} import CASES; from tests.hostile import report; report({cases})"
    )
    with tempfile.TemporaryDirectory(prefix="tfface-hostile-") as folder:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=1800,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("case ")]
    return dict(line.removeprefix("case ").split(": ", 1) for line in lines)


def report(cases: dict[str, Callable[[], object]]) -> None:
    """Prints for each case the error it ended with, or that it was stopped."""
    for name, case in cases.items():
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            _run(name, case)
        _, status = os.waitpid(child, 0)
        if status:
            print(f"case {name}: killed by signal {status & 127}", flush=True)


def _run(name: str, case: Callable[[], object]) -> None:
    # The parent's memory is the child's too, and only what comes on top counts.
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY_BYTES,) * 2)
    # Of the processor: the machine may be busy with other things.
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    started = time.monotonic()
    try:
        outcome = f"gave {type(case()).__name__}"
    except BaseException as error:
        outcome = f"{type(error).__name__} {str(error).splitlines()[0][:200] if str(error) else ''}"
    print(f"case {name}: {outcome} [{time.monotonic() - started:.0f} s]", flush=True)
    os._exit(0)
