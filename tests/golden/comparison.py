"""What differs between pinned values and those of now."""

import math
from typing import NamedTuple

# Of `summaries.of_array`; a dict with these keys is judged by the size of what it describes.
_OF_ARRAY = {"shape", "mean", "l2", "projection", "entries"}


class Tolerance(NamedTuple):
    """How far a number may be from the pinned one.

    Attributes:
        relative: share of the pinned number; of an array, share of its length, and of the root mean
            square of its entries, by which mean, projection and single entries are judged.
        absolute: added to that, but not for arrays.
    """

    relative: float
    absolute: float


class Difference(NamedTuple):
    """Two values that are not the same, and how far apart numbers are.

    Attributes:
        path: where in the JSON.
        distance, allowed: 0 and 0 where it's no matter of numbers; a difference of which the
            distance is not allowed counts.
    """

    path: str
    pinned: object
    found: object
    distance: float = math.inf
    allowed: float = 0.0

    @property
    def counts(self) -> bool:
        return not self.distance <= self.allowed

    def __str__(self) -> str:
        text = f"{self.path}: {_short(self.pinned)} -> {_short(self.found)}"
        if math.isinf(self.distance):
            return text
        return f"{text} (apart by {self.distance:.1e}, allowed {self.allowed:.1e})"


def differences(pinned, found, tolerance: Tolerance, path: str = "") -> list[Difference]:
    """Returns all that differs, also by less than is allowed.

    Args:
        pinned, found: as JSON gives them. Whole numbers, text and the kinds of values have to be
            the same.
    """
    if isinstance(pinned, dict) and isinstance(found, dict):
        if pinned.keys() == found.keys() == _OF_ARRAY and pinned["shape"] == found["shape"]:
            return _of_array(pinned, found, tolerance, path)
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
    if isinstance(pinned, float) and isinstance(found, float):
        return _of_numbers(
            pinned, found, tolerance.absolute + tolerance.relative * abs(pinned), path
        )
    same = type(pinned) is type(found) and pinned == found
    return [] if same else [Difference(path, pinned, found)]


def _of_key(pinned: dict, found: dict, key: str, tolerance: Tolerance, path: str):
    if key not in found:
        return [Difference(path, pinned[key], "nothing")]
    if key not in pinned:
        return [Difference(path, "nothing", found[key])]
    return differences(pinned[key], found[key], tolerance, path)


def _of_array(pinned: dict, found: dict, tolerance: Tolerance, path: str) -> list[Difference]:
    root_mean_square = pinned["l2"] / math.sqrt(max(math.prod(pinned["shape"]), 1))
    # The projection is onto a direction of length 1, and so of the size of an entry.
    of_entry = Tolerance(0.0, tolerance.relative * root_mean_square)
    allowed = {
        "l2": Tolerance(tolerance.relative, 0.0),
        "mean": of_entry,
        "projection": of_entry,
        "entries": of_entry,
    }
    return [
        difference
        for key, most in allowed.items()
        for difference in differences(pinned[key], found[key], most, f"{path}/{key}")
    ]


def _of_numbers(pinned: float, found: float, allowed: float, path: str) -> list[Difference]:
    if pinned == found:
        return []
    return [Difference(path, pinned, found, abs(pinned - found), allowed)]


def _short(value: object) -> str:
    text = f"{value:.9g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
