"""The progress bar of every tool: rate and time left on a terminal, silence elsewhere."""

import sys
from collections.abc import Iterable

from tqdm import tqdm


def progress(
    iterable: Iterable | None = None, *, total: int | None = None, description: str, unit: str
) -> tqdm:
    """Returns a tqdm bar over `iterable`, or one to be moved by `update` (a context manager).

    Args:
        total: how many units there will be; taken from `len(iterable)` where that is known.
        description: what is being done, in a few words.
        unit: the plural noun that is counted, for example "images".
    """
    return tqdm(
        iterable,
        total=total,
        desc=description,
        unit=f" {unit}",
        unit_scale=True,
        dynamic_ncols=True,
        disable=not sys.stderr.isatty(),
    )
