"""Renders many faces in several processes.

Each worker is a plain Python that runs `work`, fed through a pipe. Multiprocessing would not do: a
fork can hang once TensorFlow has started threads, and spawn runs the caller's main module again, so
scripts without a main guard, scripts read from stdin and notebooks would break. Workers import
NumPy and Pillow only.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from tfface.synthetic.portrait import render

_PACKAGES = Path(__file__).resolve().parents[2]
# -P: a file of the current folder never passes for a module.
_COMMAND = (sys.executable, "-P", "-c", "from tfface.synthetic.pool import work; work()")


def render_in_processes(
    faces: Sequence[tuple[int, int]], size: int, seed: int, workers: int, step: Callable[[], object]
) -> np.ndarray:
    """Returns uint8 [n, size, size, 3]: the pictures `faces` = (identity, image), in order.

    Args:
        step: called after each picture, from any thread.
    Raises RuntimeError: a worker failed; the message holds what it said.
    """
    pictures = np.empty((len(faces), size, size, 3), np.uint8)
    path = os.pathsep.join(filter(None, [str(_PACKAGES), os.environ.get("PYTHONPATH")]))
    # One thread each: the workers already use all cores.
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    environment = {**os.environ, "PYTHONPATH": path, **one_thread}
    failures: list[str] = []
    threads = []
    with ExitStack() as stack:
        for worker in range(workers):
            process = stack.enter_context(
                subprocess.Popen(
                    _COMMAND,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
            )
            # Leaving the block, also by an error or Ctrl-C, ends the workers.
            stack.callback(process.kill)
            # Every workers-th picture, so that all end at about the same time.
            task = {"faces": faces[worker::workers], "size": size, "seed": seed}
            thread = threading.Thread(
                target=_collect,
                args=(
                    process,
                    json.dumps(task).encode(),
                    pictures[worker::workers],
                    step,
                    failures,
                ),
                daemon=True,
            )
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()
    if failures:
        raise RuntimeError(f"a process that draws synthetic faces failed:\n{failures[0]}")
    return pictures


def _collect(
    process: subprocess.Popen,
    task: bytes,
    share: np.ndarray,
    step: Callable[[], object],
    failures: list[str],
) -> None:
    """Sends a worker its task and puts its pictures into `share`."""
    try:
        process.stdin.write(task)
        process.stdin.close()
        for picture in share:
            received = process.stdout.read(picture.nbytes)
            if len(received) < picture.nbytes:
                raise BrokenPipeError("it ended early")
            picture[...] = np.frombuffer(received, np.uint8).reshape(picture.shape)
            step()
    except OSError as error:
        said = process.stderr.read().decode(errors="replace").strip()
        failures.append(f"{error}: {said}")


def work() -> None:
    """Is one worker: reads its task from stdin, and writes raw pictures to stdout."""
    task = json.load(sys.stdin)
    for identity, image in task["faces"]:
        picture = render(identity, image, task["size"], task["seed"])
        sys.stdout.buffer.write(picture.tobytes())
