"""What tells the embeddings of one model from those of another."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np


def fingerprint(*parts: object) -> str:
    """Returns a short text that differs where the parts' texts do: 32 hexadecimal digits."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def hash_files(path: Path) -> str:
    """Returns the SHA-256 of a file, or of a folder's files and their names."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    # Through links too: what they lead to is loaded as well.
    files = sorted(
        Path(folder, name)
        for folder, _, names in os.walk(path, followlinks=True)
        for name in names
        if Path(folder, name).is_file()
    )
    return fingerprint([(str(file.relative_to(path)), hash_files(file)) for file in files])


def hash_arrays(arrays: Iterable[np.ndarray]) -> str:
    """Returns the SHA-256 of the arrays' values, in their order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
