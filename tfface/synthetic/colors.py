"""Colors are (red, green, blue), each 0..255."""

Color = tuple[int, int, int]


def mixed(color: Color, share: float, other: Color = (0, 0, 0)) -> Color:
    """Returns `share` of `color` and the rest of `other`; above 1 it moves away from `other`."""
    (a, b, c), (x, y, z) = color, other
    return _level(x + (a - x) * share), _level(y + (b - y) * share), _level(z + (c - z) * share)


def _level(value: float) -> int:
    return 0 if value < 0 else 255 if value > 255 else int(value)
