"""Reading the `.npz` files that runs keep: arrays, no pickles, and nothing that isn't there."""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path

import numpy as np

from tfface.errors import InputError, shown
from tfface.files import DAMAGED_ARCHIVE, check_stored


@contextmanager
def reading_npz(path: Path, otherwise: str) -> Iterator[Mapping[str, np.ndarray]]:
    """Opens a file that `np.savez` wrote, which somebody else may have altered.

    Yields: name -> array of numbers or text; each is read when it's asked for.

    Args:
        otherwise: what is wrong then, for the message, such as "not a readable checkpoint".
    Raises InputError: it is damaged, compressed, or holds pickles or arrays that claim more than
        it has; or the block raises one of DAMAGED_ARCHIVE, for want of an array that it needs.
    """
    try:
        _check(path)
        with np.load(path, allow_pickle=False) as file:
            yield file
    except InputError:
        raise
    except DAMAGED_ARCHIVE as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: {otherwise}: {reason}") from error


def _check(path: Path) -> None:
    """Raises one of DAMAGED_ARCHIVE: NumPy would allocate what the file doesn't hold, or refuse."""
    with zipfile.ZipFile(path) as archive:
        for name, entry in check_stored(archive, path.stat().st_size).items():
            with archive.open(entry) as file:
                # Later versions are for records of many fields.
                if np.lib.format.read_magic(file) != (1, 0):
                    raise ValueError(f"{shown(name)} is no array that np.savez writes")
                shape, _, type_ = np.lib.format.read_array_header_1_0(file)
                held = entry.file_size - file.tell()
            if type_.kind not in "fiubUV" or type_.fields is not None:
                raise ValueError(f"{shown(name)} is of type {type_}, not of numbers or text")
            if prod(shape) * type_.itemsize != held:
                raise ValueError(f"{shown(name)} {list(shape)} is not what its {held:,} bytes hold")
