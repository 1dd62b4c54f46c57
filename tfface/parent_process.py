"""Processes that train for the one that started them, and end with it, also where it is killed.

The parent starts the child with `training_environment`, and the child calls `end_with_parent`,
which all tools do.
"""

import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path

# Whose process number is the parent's.
_VARIABLE = "TFFACE_PARENT_PROCESS"
_POLL_SECONDS = 1.0
# Where the package is found.
_FOLDER = str(Path(__file__).resolve().parents[1])


# glibc reads it only when a process starts; see "Memory in huge pages" in docs/SPEED.md.
_HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def training_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of a child that trains, ends with this process, and finds tfface.

    Args:
        environment: what it has besides; its GLIBC_TUNABLES stay as they are.
    """
    paths = [_FOLDER, *filter(None, [environment.get("PYTHONPATH")])]
    return {
        **_HUGE_PAGES,
        **environment,
        _VARIABLE: str(os.getpid()),
        # Of a checkout that is not installed.
        "PYTHONPATH": os.pathsep.join(paths),
    }


def end_with_parent(parent: int | None = None) -> None:
    """Sends this process SIGTERM as soon as its parent is gone; a run then writes a checkpoint.

    Args:
        parent: the process number of who started this one; by default what the environment says,
            and nothing happens where that says nothing.
    """
    # Children of this process have another parent.
    given = os.environ.pop(_VARIABLE, None)
    if parent is None:
        if given is None:
            return
        parent = int(given)
    threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
