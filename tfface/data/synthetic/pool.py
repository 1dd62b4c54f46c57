"""Renders many faces in several processes.

Each worker is a plain `python -m tfface.data.synthetic.pool`, fed through a pipe. Multiprocessing
would not do: a fork can hang once TensorFlow has started threads, and spawn runs the caller's main
module again, so scripts without a main guard, scripts read from stdin and notebooks would break.
Workers import NumPy and Pillow only.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfface.data.synthetic.nuisance import sample_nuisance
from tfface.data.synthetic.portrait import draw_portrait
from tfface.data.synthetic.traits import sample_traits

_PACKAGES = Path(__file__).resolve().parents[3]


def render(identity: int, image: int, size: int, seed: int) -> np.ndarray:
    """Returns uint8 [size, size, 3]: a function of its arguments alone."""
    return draw_portrait(
        sample_traits(identity, seed), sample_nuisance(identity, image, seed), size
    )


def render_in_processes(
    faces: Sequence[tuple[int, int]], size: int, seed: int, workers: int, step
) -> np.ndarray:
    """Returns uint8 [n, size, size, 3]: the pictures `faces` = (identity, image), in order.

    Args:
        step: called with no argument after each picture, from any thread.
    Raises RuntimeError: a worker failed; the message holds what it said.
    """
    pictures = np.empty((len(faces), size, size, 3), np.uint8)
    path = os.pathsep.join(filter(None, [str(_PACKAGES), os.environ.get("PYTHONPATH")]))
    # One thread each: the workers already use the cores.
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "tfface.data.synthetic.pool"]
    processes, threads, failures = [], [], []
    try:
        for worker in range(workers):
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            processes.append(process)
            # Every workers-th picture, so that all end at about the same time.
            share = pictures[worker::workers]
            task = json.dumps(
                {"faces": faces[worker::workers], "size": size, "seed": seed}
            ).encode()
            thread = threading.Thread(
                target=_collect, args=(process, task, share, step, failures), daemon=True
            )
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()
    finally:
        for process in processes:
            process.kill()
            process.wait()
    if failures:
        raise RuntimeError(f"a process that draws synthetic faces failed:\n{failures[0]}")
    return pictures


def _collect(
    process: subprocess.Popen, task: bytes, share: np.ndarray, step, failures: list[str]
) -> None:
    """Sends a worker its task and puts its pictures into `share`."""
    try:
        process.stdin.write(task)
        process.stdin.close()
        for picture in share:
            received = process.stdout.read(picture.nbytes)
            if len(received) < picture.nbytes:
                failures.append(process.stderr.read().decode(errors="replace").strip())
                return
            picture[...] = np.frombuffer(received, np.uint8).reshape(picture.shape)
            step()
    except OSError as error:
        failures.append(f"{error}; {process.stderr.read().decode(errors='replace').strip()}")


def _work() -> None:
    """A worker's whole life: read the task from stdin, write the pictures to stdout."""
    task = json.load(sys.stdin)
    for identity, image in task["faces"]:
        sys.stdout.buffer.write(render(identity, image, task["size"], task["seed"]).tobytes())


if __name__ == "__main__":
    _work()
