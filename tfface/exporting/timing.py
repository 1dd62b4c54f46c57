"""How long a model takes for an image, by number of threads.

TensorFlow chooses its threads once for a process, so that its models are timed in a process of
their own: `python -m tfface.exporting.timing MODEL FLIP BATCH_SIZE` prints milliseconds.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import load_embedder

THREADS = (1, 2)
_WARM_UP, _LEAST_RUNS, _SECONDS = 2, 5, 1.0


def image_milliseconds(path: Path, *, flip: bool, batch_size: int | None) -> dict[int, float]:
    """Times a model file on one image at a time.

    Args:
        path: of the model.
        flip: the embedding is the sum of those of the image and of its mirror image.
        batch_size: of a model that takes just so many images; its time is divided by it.

    Returns:
        Number of threads -> milliseconds for each image, the median of at least 5 runs and a
        second.

    Raises:
        InputError: the model can't be loaded or run.
    """
    uses_tensorflow = path.is_dir() or path.suffix.lower() == ".keras"
    measure = _measured_apart if uses_tensorflow else _measure
    return {threads: measure(path, flip, batch_size or 1, threads) for threads in THREADS}


def _measure(path: Path, flip: bool, batch_size: int, threads: int | None) -> float:
    embedder = load_embedder(path, batch_size=batch_size, flip=flip, num_threads=threads)
    images = np.random.default_rng(0).integers(0, 256, (batch_size, *embedder.image_size, 3))
    pixels = images.astype(np.uint8)
    seconds: list[float] = []
    for _ in range(_WARM_UP):
        embedder.embed(pixels)
    while len(seconds) < _LEAST_RUNS or sum(seconds) < _SECONDS:
        started = time.perf_counter()
        embedder.embed(pixels)
        seconds.append(time.perf_counter() - started)
    return 1000 * float(np.median(seconds)) / batch_size


def _measured_apart(path: Path, flip: bool, batch_size: int, threads: int) -> float:
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": str(threads),
    }
    arguments = json.dumps([str(path), flip, batch_size])
    done = subprocess.run(
        [sys.executable, "-m", "tfface.exporting.timing", arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(f"{path}: can't be timed: {reason}")
    return float(done.stdout.split()[-1])


def _main() -> None:
    path, flip, batch_size = json.loads(sys.argv[1])
    print(_measure(Path(path), flip, batch_size, None))


if __name__ == "__main__":
    _main()
