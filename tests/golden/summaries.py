"""Describes arrays and files by a few numbers or a hash."""

import hashlib
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tests.golden import inputs


def of_array(array: np.ndarray, num_entries: int = 0) -> dict:
    """Returns mean and root mean square of the entries, and their projection on a fixed vector.

    The vector has length 1, so the projection is about as large as an entry. It changes when
    entries change their sign or order, which mean and root mean square may not show.

    Args:
        num_entries: number of entries to return as well, spread evenly over the array.
    """
    values = np.asarray(array, np.float64).ravel()
    vector = inputs.uniform(values.size, values.shape).astype(np.float64)
    vector /= np.linalg.norm(vector)
    summary = {
        "shape": "x".join(map(str, array.shape)),
        "mean": float(values.mean()),
        "rms": math.sqrt(np.mean(values**2)),
        "projection": float(values @ vector),
    }
    if num_entries:
        places = np.linspace(0, values.size - 1, num_entries).astype(int)
        summary["entries"] = values[places].tolist()
    return summary


def sha256_of_arrays(arrays: Iterable[np.ndarray]) -> str:
    """Returns a hash of shapes, dtypes and bits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def sha256_of_files(folder: Path) -> dict[str, str]:
    """Returns the hash of each file in a folder and its subfolders, except hidden files."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def num_parameters(weights: Iterable) -> int:
    return sum(math.prod(weight.shape) for weight in weights)
