"""Building networks and heads that a file describes, without more memory than the file has."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from tfface.errors import InputError

# 64 MiB of float32: what any process can spare. A network of this size needs no file to vouch
# for it.
_ALWAYS = 1 << 24


@contextmanager
def weights_limited(num_values: int, where: object) -> Iterator[None]:
    """Lets layers that are built in the block have so many weights together, and no more.

    Keras makes each weight as soon as a layer is built, so a description of a few bytes could ask
    for terabytes. Weights that are in the file are on the disk already; others aren't needed.

    Args:
        num_values: numbers that the file holds; 16 million are allowed at any rate.
        where: the file, for the message.
    Raises InputError: a layer wants more; nothing has been allocated for it.
    """
    left = max(num_values, _ALWAYS)
    add_weight = keras.Layer.add_weight

    def add_within_limit(
        layer: keras.Layer, shape: object = None, *arguments: Any, **options: Any
    ) -> Any:
        nonlocal left
        size = math.prod(_sizes(shape))
        left -= size
        if left < 0:
            raise InputError(
                f"{where}: refused: its layer {layer.name} wants a weight of {size:,} numbers, and "
                f"the file holds {num_values:,} in all"
            )
        return add_weight(layer, shape, *arguments, **options)

    keras.Layer.add_weight = add_within_limit
    try:
        yield
    finally:
        keras.Layer.add_weight = add_weight


def _sizes(shape: object) -> tuple[int, ...]:
    """The axes of a weight's shape, as `add_weight` takes it; what is none counts for nothing, as
    Keras refuses it."""
    if isinstance(shape, int):
        return (shape,)
    if not isinstance(shape, list | tuple):
        return ()
    return tuple(size if isinstance(size, int) else 0 for size in shape)
