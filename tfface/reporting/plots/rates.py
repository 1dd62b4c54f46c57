"""The picture of a benchmark: images a second (PNG, drawn without a display)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tfface.reporting.plots.style import BLUE, dress, save, whole


def draw_rates(path: Path, rows: Sequence[Mapping]) -> None:
    """Draws a bar for each row, as long as the median, with a line from the least to the most.

    Args:
        path: the PNG.
        rows: each with `name` and `images_per_second`: {min, median, max}, all above 0. The axis is
            logarithmic where the medians span more than a factor of 30.
    """
    names = [row["name"] for row in rows]
    low, middle, high = (
        np.array([row["images_per_second"][key] for row in rows])
        for key in ("min", "median", "max")
    )
    figure = Figure(
        figsize=(6.4 + 0.08 * max(map(len, names)), 1.3 + 0.38 * len(rows)), layout="constrained"
    )
    axes = figure.add_subplot()
    places = np.arange(len(rows))
    axes.barh(places, middle, height=0.66, color=BLUE, alpha=0.75)
    axes.errorbar(
        middle,
        places,
        xerr=(middle - low, high - middle),
        fmt="none",
        color="black",
        capsize=3,
        linewidth=1.2,
    )
    for place, rate in enumerate(middle):
        # Beside the axes, where no line is in the way.
        axes.text(
            1.02,
            place,
            f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8.5,
        )
    axes.set_yticks(places, names)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    wide = middle.max() > 30 * middle.min()
    title = "images a second: median, least and most"
    dress(axes, f"{title} (logarithmic)" if wide else title, "", "")
    if wide:
        axes.set_xscale("log")
        # Not right at the shortest bar, as by default: then that one can't be seen.
        axes.set_xlim(left=10 ** np.floor(np.log10(low.min())))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.xaxis.set_major_formatter(FuncFormatter(whole))
    axes.grid(visible=False, axis="y")
    save(figure, path)
