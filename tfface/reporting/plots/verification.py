"""Pictures of verification (PNG, drawn without a display)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from tfface.reporting.plots.style import BLUE, LINES, VERMILION, dress, percent, save

_MOST_POINTS = 4000


def draw_roc(path: Path, curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Draws TAR over FAR, FAR on a log axis that ends where the impostor pairs end.

    Args:
        path: the PNG.
        curves: pair set -> (FAR, TAR), both rising from 0 to 1.
    """
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.add_subplot()
    lowest = 1.0
    for number, (name, (far, tar)) in enumerate(curves.items()):
        colour, style = LINES[number % len(LINES)]
        # The best TAR of each FAR; below its first false accept a curve has no pair to tell by.
        shown = (far > 0) & np.append(np.diff(far) > 0, True)
        far, tar = _thinned(far[shown], tar[shown])
        lowest = min(lowest, tar[0])
        axes.plot(
            far,
            tar,
            color=colour,
            linestyle=style,
            linewidth=1.8,
            drawstyle="steps-post",
            label=name,
        )
    axes.set_xscale("log")
    axes.set_xlim(right=1)
    axes.set_ylim(np.floor(lowest * 20) / 20 - 0.005, 1.005)
    axes.yaxis.set_major_formatter(FuncFormatter(percent))
    dress(axes, "ROC", "false accept rate (FAR)", "true accept rate (TAR)")
    axes.legend(frameon=False, loc="lower right")
    save(figure, path)


def _thinned(far: np.ndarray, tar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leaves points out that lie closer together on the log axis than can be drawn."""
    if len(far) <= _MOST_POINTS:
        return far, tar
    # Each stands for the points up to it; the best TAR of these is the last one's.
    places = np.searchsorted(far, np.geomspace(far[0], 1, _MOST_POINTS), side="right") - 1
    places = np.unique(places)
    return far[places], tar[places]


def draw_similarities(
    path: Path, *, genuine: np.ndarray, impostor: np.ndarray, threshold: float, title: str
) -> None:
    """Draws how similar genuine and impostor pairs are, and the threshold between them.

    Args:
        path: the PNG.
        genuine, impostor: cosine similarities, at least one of each.
        threshold: from this cosine on a pair is accepted.
        title: the name of the pair set.
    """
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    both = np.concatenate([genuine, impostor, [threshold]])
    bins = np.linspace(both.min(), max(both.max(), both.min() + 1e-6), 61)
    for values, name, colour, hatch in (
        (impostor, "impostor", VERMILION, "////"),
        (genuine, "genuine", BLUE, None),
    ):
        axes.hist(
            values,
            bins=bins.tolist(),
            weights=np.full(len(values), 1 / len(values)),
            histtype="stepfilled",
            facecolor=colour,
            alpha=0.35,
            hatch=hatch,
            edgecolor=colour,
            label=f"{name} ({len(values):,} pairs)",
        )
    axes.axvline(
        threshold, color="black", linestyle="--", linewidth=1.2, label=f"threshold {threshold:.3f}"
    )
    axes.yaxis.set_major_formatter(FuncFormatter(percent))
    dress(axes, f"{title}: similarity of the pairs", "cosine similarity", "share of pairs")
    figure.legend(frameon=False, loc="outside lower center", ncols=3)
    save(figure, path)
