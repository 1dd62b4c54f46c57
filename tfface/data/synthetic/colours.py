"""Colours are (red, green, blue), each 0..255."""

Colour = tuple[int, int, int]


def mixed(colour: Colour, share: float, other: Colour = (0, 0, 0)) -> Colour:
    """Returns `share` of `colour` and the rest of `other`; a share above 1 moves away from `other`."""
    return tuple(
        int(min(255, max(0, b + (a - b) * share))) for a, b in zip(colour, other, strict=True)
    )
