"""Checks of arguments that callers give in Python, where nothing has looked at their types yet.

Each returns the argument as the type that the program works with, or raises `InputError` with one
line: the argument's name, what it must be, and what was given. NumPy's numbers count as numbers;
`True` and `False` do not.
"""

import math
import numbers
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from tfface.errors import InputError, shown

# Images that a model embeds at a time, unless the caller says otherwise.
EMBED_BATCH_SIZE = 64
# Pixels on a side; no network takes larger images.
_LONGEST_SIDE = 8192


def whole_number(name: str, given: Any, least: int, most: int | None = None) -> int:
    """Returns a whole number of a range.

    Args:
        name: of the argument, for the message.
        given: by the caller.
        least, most: the range; None for no upper limit but that of 64 bits.

    Example:
        >>> whole_number("top", "3", 1)
        Traceback (most recent call last):
        tfface.errors.InputError: top must be a whole number of 1 or more, got '3'
    """
    highest = 2**63 - 1 if most is None else most
    if not _is_whole(given) or not least <= given <= highest:
        limits = f"of {least} or more" if most is None else f"from {least} to {most}"
        raise wrong(name, f"a whole number {limits}", given)
    return int(given)


def number(name: str, given: Any, is_right: Callable[[float], bool], expected: str) -> float:
    """Returns a number of a range.

    Args:
        name, given: as for `whole_number`.
        is_right: whether a number is in the range; False for NaN.
        expected: the range, for the message.
    """
    value = math.nan
    if not isinstance(given, bool) and isinstance(given, numbers.Real):
        try:
            value = float(given)
        except OverflowError:
            value = math.inf
    if not is_right(value):
        raise wrong(name, expected, given)
    return value


def cosine(name: str, given: Any) -> float:
    """Returns a cosine.

    Example:
        >>> cosine("threshold", 1.5)
        Traceback (most recent call last):
        tfface.errors.InputError: threshold must be a cosine from -1 to 1, got 1.5
    """
    return number(name, given, lambda value: -1 <= value <= 1, "a cosine from -1 to 1")


def text(name: str, given: Any) -> str:
    """Returns a text."""
    if not isinstance(given, str):
        raise wrong(name, "text", given)
    return given


def texts(name: str, given: Any) -> list[str]:
    """Returns a list of texts; a single text is none.

    Example:
        >>> texts("overrides", "data.batch_size=2")
        Traceback (most recent call last):
        tfface.errors.InputError: overrides must be a list of texts, got 'data.batch_size=2'
    """
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        raise wrong(name, "a list of texts", given)
    return list(given)


def listed(name: str, given: Any, what: str) -> list[Any]:
    """Returns a list of anything; texts, mappings and arrays are none.

    Args:
        name, given: as for `whole_number`.
        what: its members, for the message.
    """
    if not isinstance(given, list | tuple):
        raise wrong(name, f"a list of {what}", given)
    return list(given)


def one_of(name: str, given: Any, allowed: Collection[str]) -> str:
    """Returns one of some words.

    Example:
        >>> one_of("index", "tree", ["flat", "hnsw"])
        Traceback (most recent call last):
        tfface.errors.InputError: index must be flat or hnsw, got 'tree'
    """
    if not isinstance(given, str) or given not in allowed:
        *others, last = allowed
        raise wrong(name, f"{', '.join(others)} or {last}" if others else last, given)
    return given


def image_size(given: Any, name: str = "image_size") -> tuple[int, int]:
    """Returns (height, width) of images; one number stands for both.

    Example:
        >>> image_size(112), image_size([112, 96])
        ((112, 112), (112, 96))
    """
    sides = [given, given] if _is_whole(given) else given
    is_pair = isinstance(sides, list | tuple) and len(sides) == 2
    if not is_pair or not all(_is_whole(side) and 1 <= side <= _LONGEST_SIDE for side in sides):
        expected = f"a number of pixels from 1 to {_LONGEST_SIDE}, or (height, width)"
        raise wrong(name, expected, given)
    height, width = map(int, sides)
    return height, width


def rgb_images(given: Any, name: str = "images") -> np.ndarray:
    """Returns decoded images, at least one: uint8 [n, height, width, 3].

    Example:
        >>> rgb_images(np.zeros((2, 8, 8, 3), np.uint8)).shape
        (2, 8, 8, 3)
    """
    is_array = isinstance(given, np.ndarray)
    if not is_array or given.dtype != np.uint8 or given.ndim != 4 or given.shape[3] != 3:
        raise wrong(name, "uint8 [n, height, width, 3], RGB in 0..255", given)
    if not given.size:
        raise wrong(name, "at least one, of 1 or more pixels", given)
    if given.shape[1] * given.shape[2] > _LONGEST_SIDE**2:
        raise wrong(name, f"of at most {_LONGEST_SIDE**2:,} pixels", given)
    return given


def wrong(name: str, expected: str, given: Any) -> InputError:
    """Returns the error of an argument: what it must be, and what was given."""
    return InputError(f"{name} must be {expected}, got {described(given)}")


def described(given: Any) -> str:
    """Returns what was given, for a message, on one short line.

    Example:
        >>> described("x" * 100_000)[:5], described(np.zeros((2, 3))), described(object())
        ("'xxxx", 'float64 [2, 3]', 'object')
    """
    if given is None or isinstance(given, bool | float):
        return repr(given)
    if isinstance(given, str):
        return shown(repr(given[:200]))
    # More digits than Python converts to text.
    if isinstance(given, int):
        return str(given) if abs(given) < 10**40 else "a number of more than 40 digits"
    if isinstance(given, np.number):
        return str(given)
    if isinstance(given, np.ndarray):
        return f"{given.dtype} {list(given.shape)}"
    if isinstance(given, list | tuple) and given and len(given) < 8:
        inner = [one for one in given if not isinstance(one, list | tuple)]
        if len(inner) == len(given):
            return f"[{', '.join(map(described, given))}]"
    if isinstance(given, Sequence | Collection) and not isinstance(given, bytes):
        return f"{type(given).__name__} of {len(given):,}"
    return type(given).__name__


def _is_whole(given: Any) -> bool:
    return isinstance(given, numbers.Integral) and not isinstance(given, bool)
