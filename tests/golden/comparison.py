"""Compares JSON values, numbers within a tolerance."""

import math
from typing import NamedTuple


class Tolerance(NamedTuple):
    """How far a number may be from the pinned one.

    Attributes:
        relative: as a share of the pinned number. The numbers of an array's summary
            (`summaries.of_array`) may differ by this share of its root mean square, and no more.
        absolute: added to that.
    """

    relative: float
    absolute: float


class Difference(NamedTuple):
    """Two values that are not equal.

    Attributes:
        path: place in the JSON value.
        pinned, found: the two values.
        distance: between two numbers; infinite for anything else.
        allowed: the distance that the tolerance allows.
    """

    path: str
    pinned: object
    found: object
    distance: float = math.inf
    allowed: float = 0.0

    @property
    def is_significant(self) -> bool:
        """Whether the values differ by more than allowed."""
        # Not `>`: a NaN is significant.
        return not self.distance <= self.allowed

    def __str__(self) -> str:
        text = f"{self.path}: {_shortened(self.pinned)} -> {_shortened(self.found)}"
        if math.isinf(self.distance):
            return text
        return f"{text} (distance {self.distance:.1e}, allowed {self.allowed:.1e})"


def differences(pinned, found, tolerance: Tolerance, path: str = "") -> list[Difference]:
    """Returns all differences between two JSON values, significant or not.

    Integers, text and types must be equal; `1` and `1.0` are not.
    """
    if isinstance(pinned, dict) and isinstance(found, dict):
        if "rms" in pinned:
            tolerance = Tolerance(0.0, tolerance.relative * pinned["rms"])
        return [
            difference
            for key in sorted(pinned.keys() | found.keys())
            for difference in _of_key(pinned, found, key, tolerance, f"{path}/{key}")
        ]
    if isinstance(pinned, list) and isinstance(found, list) and len(pinned) == len(found):
        return [
            difference
            for place, pair in enumerate(zip(pinned, found, strict=True))
            for difference in differences(*pair, tolerance, f"{path}/{place}")
        ]
    if type(pinned) is type(found) and pinned == found:
        return []
    if isinstance(pinned, float) and isinstance(found, float):
        allowed = tolerance.absolute + tolerance.relative * abs(pinned)
        return [Difference(path, pinned, found, abs(pinned - found), allowed)]
    return [Difference(path, pinned, found)]


def _of_key(pinned: dict, found: dict, key: str, tolerance: Tolerance, path: str):
    if key not in found:
        return [Difference(path, pinned[key], "missing")]
    if key not in pinned:
        return [Difference(path, "missing", found[key])]
    return differences(pinned[key], found[key], tolerance, path)


def _shortened(value: object) -> str:
    text = f"{value:.9g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
