"""The picture of a long run: its memory and its open files (PNG, drawn without a display)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from tfface.reporting.plots.style import BLUE, dress, save


def draw_long_run(path: Path, rows: Sequence[Mapping[str, int]]) -> None:
    """Draws resident memory by epoch above, from 0, and the number of open files below.

    Args:
        path: the PNG.
        rows: each with `epoch`, `resident_bytes` and `num_files`.
    """
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    epochs = [row["epoch"] for row in rows]
    above.plot(epochs, [row["resident_bytes"] / 2**20 for row in rows], color=BLUE)
    below.plot(epochs, [row["num_files"] for row in rows], color=BLUE)
    dress(above, "resident memory, MiB", "", "")
    dress(below, "open files", "epoch", "")
    for axes in (above, below):
        axes.set_ylim(bottom=0)
    save(figure, path)
