"""Types that the options of several augmentations have, and the limits of ranges."""

from typing import Annotated

from pydantic import Field

from tfface.errors import InputError

Probability = Annotated[float, Field(ge=0, le=1)]
# [low, high].
Range = Annotated[list[float], Field(min_length=2, max_length=2)]
# An amount x (a range that is symmetric about "no change"), or the range itself.
Amount = Annotated[float, Field(ge=0)] | Range


def checked_range(what: str, given: list[float], *, low: float, high: float) -> tuple[float, float]:
    """Returns a range that ascends within its limits.

    Args:
        what: augmentation and option, as an error calls them.
    Raises InputError: it doesn't.
    """
    if not low <= given[0] <= given[1] <= high:
        raise InputError(f"{what} {list(given)} must ascend within [{low:g}, {high:g}]")
    return float(given[0]), float(given[1])


def range_of_amount(
    what: str, amount: float | list[float], *, neutral: float, low: float, high: float
) -> tuple[float, float]:
    """Turns an amount into its range about `neutral`, and checks that against the limits.

    Raises InputError: the range leaves its limits, or descends.
    """
    if isinstance(amount, list | tuple):
        chosen = (float(amount[0]), float(amount[1]))
    else:
        chosen = (neutral - amount, neutral + amount)
    if not low <= chosen[0] <= chosen[1] <= high:
        raise InputError(
            f"{what} {amount!r} gives the range [{chosen[0]:g}, {chosen[1]:g}], "
            f"which must ascend within [{low:g}, {high:g}]"
        )
    return chosen
