"""Checks of written plots."""

import matplotlib.image


def is_plot(path) -> bool:
    pixels = matplotlib.image.imread(path)
    return pixels.shape[0] > 200 and pixels.shape[1] > 300 and pixels.std() > 0.01
