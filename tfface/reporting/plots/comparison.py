"""The picture of a comparison (PNG, drawn without a display)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tfface.reporting.comparison_table import is_share, metric_words, shown
from tfface.reporting.plots.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    dress,
    percent,
    save,
)

_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
_STYLES = ("-", "--", ":", "-.")
_MARKERS = "os^Dv<>"
_LONGEST_NAME = 36
# The seeds' dots lie so far apart at most, of the distance of two variants.
_DOTS_HEIGHT = 0.3


def draw_comparison(path: Path, figures: Mapping) -> None:
    """Draws the figure of every run, mean and deviation of every variant, and their curves.

    Left: a dot for each seed, and below it, with several seeds, mean and standard deviation.
    Right: the curve of the epochs' figure; with several seeds a thin line for each, and mean and
    standard deviation over the epochs that all of them have.

    Args:
        path: the PNG.
        figures: what `compare --json` writes; a variant whose runs have all failed has no dots.
    """
    variants = figures["variants"]
    names = _short_names([variant["name"] for variant in variants])
    width = 9.4 + 0.085 * max(map(len, names))
    height = max(3.6, 1.5 + 0.5 * len(variants))
    figure = Figure(figsize=(width, height), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.05))
    _draw_figures(left, variants, names, figures["metric"])
    _draw_curves(right, variants, names, figures["curve"])
    if len(variants) > 1:
        columns = max(1, int(width * 11 // (max(map(len, names)) + 8)))
        figure.legend(
            *right.get_legend_handles_labels(),
            frameon=False,
            fontsize=9,
            loc="outside lower center",
            ncols=min(columns, len(variants)),
            handlelength=3,
        )
    save(figure, path)


def _draw_figures(
    axes: Axes, variants: Sequence[Mapping], names: Sequence[str], metric: str
) -> None:
    beside = axes.get_yaxis_transform()
    for place, variant in enumerate(variants):
        values = [run["figure"] for run in variant["runs"] if run["figure"] is not None]
        if not values:
            axes.text(
                1.02, place, "failed", transform=beside, va="center", color=GREY, fontsize=8.5
            )
            continue
        colour, _, marker = _look(place)
        offsets = (np.arange(len(values)) - (len(values) - 1) / 2) / len(values) * _DOTS_HEIGHT
        axes.plot(values, place - 0.1 + offsets, marker, color=colour, markersize=5, alpha=0.75)
        found = variant["figure"]
        if found["std"] is not None:
            axes.errorbar(
                found["mean"],
                place + 0.2,
                xerr=found["std"],
                color="black",
                marker="|",
                markersize=10,
                capsize=3,
                linewidth=1.2,
            )
        label = shown(found["mean"], metric)
        if found["std"] is not None:
            label = f"{label.removesuffix('%')} \u00b1 {shown(found['std'], metric)}"
        # Beside the axes, where no dot is in the way.
        axes.text(1.02, place, label, transform=beside, va="center", fontsize=8.5)
    axes.set_yticks(range(len(variants)), names)
    axes.set_ylim(len(variants) - 0.45, -0.65)
    axes.margins(x=0.1)
    if is_share(metric):
        axes.xaxis.set_major_formatter(FuncFormatter(percent))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    figures = [variant["figure"] for variant in variants if variant["figure"]]
    several = any(figure["std"] is not None for figure in figures)
    title = metric_words(metric) + (": each seed, mean \u00b1 sd" if several else "")
    dress(axes, title, "", "")
    axes.grid(visible=False, axis="y")


def _draw_curves(axes: Axes, variants: Sequence[Mapping], names: Sequence[str], curve: str) -> None:
    longest = 0
    for place, variant in enumerate(variants):
        colour, style, marker = _look(place)
        runs = [_values(run["curve"]) for run in variant["runs"] if run["curve"]]
        if not runs:
            continue
        longest = max(longest, *map(len, runs))
        common = min(map(len, runs))
        together = np.stack([run[:common] for run in runs])
        epochs = np.arange(1, common + 1)
        mean = together.mean(axis=0)
        if len(runs) > 1:
            for run in runs:
                x = np.arange(1, len(run) + 1)
                axes.plot(x, run, color=colour, linestyle=style, linewidth=0.7, alpha=0.45)
            std = together.std(axis=0, ddof=1)
            band = np.stack([mean - std, mean + std])
            if is_share(curve):
                band = np.clip(band, 0, 1)
            axes.fill_between(epochs, *band, color=colour, alpha=0.15, linewidth=0)
        axes.plot(
            epochs,
            mean,
            color=colour,
            linestyle=style,
            linewidth=1.8,
            marker=marker,
            markersize=4,
            markevery=max(1, common // 8),
            label=names[place],
        )
    if is_share(curve):
        axes.yaxis.set_major_formatter(FuncFormatter(percent))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if longest == 1:
        axes.set_xlim(0.5, 1.5)
        axes.set_xticks([1])
    dress(axes, f"{metric_words(curve)} by epoch", "epoch", "")


def _values(curve: Sequence[Sequence[float | None]]) -> np.ndarray:
    return np.array([np.nan if value is None else value for _, value in curve], np.float64)


def _look(place: int) -> tuple[str, str, str]:
    """Returns colour, line and marker of a variant: they tell it apart without colours as well."""
    return (
        _COLOURS[place % len(_COLOURS)],
        _STYLES[place % len(_STYLES)],
        _MARKERS[place % len(_MARKERS)],
    )


def _short_names(names: Sequence[str]) -> list[str]:
    """Cuts the middle out of long names, and numbers those that become the same."""
    short = [_short(name) for name in names]
    return [
        f"{name} ({place + 1})" if short.count(name) > 1 else name
        for place, name in enumerate(short)
    ]


def _short(name: str) -> str:
    # Dollar signs would begin a formula.
    name = name.replace("$", r"\$")
    if len(name) <= _LONGEST_NAME:
        return name
    half = _LONGEST_NAME // 2
    return f"{name[:half]}\u2026{name[-(_LONGEST_NAME - half - 1) :]}"
