"""Checkpoints as version 0.1 wrote them."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfface.training.checkpoint_state import state_arrays
from tfface.training.run_progress import RunProgress

CHECKSUM_BYTES = 64


def write_old_checkpoint(path: Path, model, progress: RunProgress) -> None:
    """Writes the state of a compiled model by the positions of its variables."""
    positions: dict[str, int] = {}
    arrays = {"progress": np.array(progress.to_json())}
    for key, array in state_arrays(model).items():
        kind = key.partition("/")[0]
        positions[kind] = positions.get(kind, -1) + 1
        arrays[f"{kind}/{positions[kind]:05d}"] = array
    write_old_arrays(path, arrays)


def write_old_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an `.npz` file whose last bytes are the SHA-256 of those before."""
    np.savez(path, **arrays)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"0" * CHECKSUM_BYTES
    refit_old_checksum(path)


def refit_old_checksum(path: Path) -> None:
    """Makes the checksum fit again, as somebody would who alters a file on purpose."""
    whole = path.read_bytes()[:-CHECKSUM_BYTES]
    path.write_bytes(whole + hashlib.sha256(whole).hexdigest().encode())
