"""Arrays and files in a few numbers."""

import hashlib
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tests.golden import inputs


def of_array(array: np.ndarray, num_entries: int = 0) -> dict:
    """Returns mean, length, and the projection onto a fixed direction, which sees every entry.

    A sign, an order or a single row that is another changes the projection by about the root mean
    square of what has changed.

    Args:
        num_entries: so many entries come along, spread evenly over the array.
    """
    values = np.asarray(array, np.float64).ravel()
    direction = inputs.uniform(values.size, values.shape).astype(np.float64)
    direction /= np.linalg.norm(direction)
    places = np.linspace(0, values.size - 1, num_entries).astype(int)
    return {
        "shape": list(array.shape),
        "mean": float(values.mean()),
        "l2": float(np.linalg.norm(values)),
        "projection": float(values @ direction),
        "entries": values[places].tolist(),
    }


def sha256_of_arrays(arrays: Iterable[np.ndarray]) -> str:
    """The hash of shapes, types and all bits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def sha256_of_files(folder: Path) -> dict[str, str]:
    """The hash of every file at any depth below a folder that is not hidden, by its path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def num_parameters(weights: Iterable) -> int:
    return sum(math.prod(weight.shape) for weight in weights)
