"""Arrays that still lie in a file: their shapes are known before anything large is read."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StoredArray:
    """An array of a weights file.

    Attributes:
        shape: as the file says it, and as `load` gives it.
        load: reads it as float32. Raises InputError where the file is damaged.
    """

    shape: tuple[int, ...]
    load: Callable[[], np.ndarray]


def as_float32(data: np.ndarray, kind: str) -> np.ndarray:
    """Returns the values of `data`.

    Args:
        kind: "bfloat16", which NumPy doesn't have: `data` is then its bits, as uint16; else any.
    """
    if kind == "bfloat16":
        # The upper half of a float32's bits.
        return (data.astype(np.uint32) << 16).view(np.float32)
    return data.astype(np.float32)
