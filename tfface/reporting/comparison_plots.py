"""Plot of a comparison of recipe variants."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tfface.reporting.comparison_tables import format_metric, is_share, metric_name
from tfface.reporting.format import mean_and_deviation
from tfface.reporting.plots import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    label_row,
    percent_tick,
    save_figure,
    shorten,
    style_axes,
)

_COLORS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
_STYLES = ("-", "--", ":", "-.")
_MARKERS = "os^Dv<>"
_MAX_NAME = 36
# Vertical extent of the dots of a variant's seeds, as a share of the distance of two variants.
_DOTS_HEIGHT = 0.3


def plot_comparison(path: Path, metrics: Mapping) -> None:
    """Plots the metric of every run, and the training curves of every variant.

    Left: a dot for each seed, with mean and standard deviation below if there are several seeds.
    Right: the curve over the epochs; with several seeds a thin line for each, and mean and standard
    deviation over the epochs that all of them have.

    Args:
        path: the PNG.
        metrics: what `compare --json` writes; a variant without successful runs has no dots.
    """
    variants = metrics["variants"]
    names = _short_names([variant["name"] for variant in variants])
    width = 9.4 + 0.085 * max(map(len, names))
    height = max(3.6, 1.5 + 0.5 * len(variants))
    figure = Figure(figsize=(width, height), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.05))
    _plot_metrics(left, variants, names, metrics["metric"])
    _plot_curves(right, variants, names, metrics["curve"])
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
    save_figure(figure, path)


def _plot_metrics(
    axes: Axes, variants: Sequence[Mapping], names: Sequence[str], metric: str
) -> None:
    for position, variant in enumerate(variants):
        values = [run["figure"] for run in variant["runs"] if run["figure"] is not None]
        if not values:
            label_row(axes, position, "failed", GRAY)
            continue
        color, _, marker = _style(position)
        offsets = (np.arange(len(values)) - (len(values) - 1) / 2) / len(values) * _DOTS_HEIGHT
        axes.plot(values, position - 0.1 + offsets, marker, color=color, markersize=5, alpha=0.75)
        found = variant["figure"]
        label = format_metric(found["mean"], metric)
        if found["std"] is not None:
            axes.errorbar(
                found["mean"],
                position + 0.2,
                xerr=found["std"],
                color="black",
                marker="|",
                markersize=10,
                capsize=3,
                linewidth=1.2,
            )
            label = mean_and_deviation(label, format_metric(found["std"], metric))
        label_row(axes, position, label.replace("+-", "\u00b1"))
    axes.set_yticks(range(len(variants)), names)
    axes.set_ylim(len(variants) - 0.45, -0.65)
    axes.margins(x=0.1)
    if is_share(metric):
        axes.xaxis.set_major_formatter(FuncFormatter(percent_tick))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    several = any(one["figure"] and one["figure"]["std"] is not None for one in variants)
    title = metric_name(metric) + (": each seed, mean \u00b1 sd" if several else "")
    style_axes(axes, title, "", "")
    axes.grid(visible=False, axis="y")


def _plot_curves(axes: Axes, variants: Sequence[Mapping], names: Sequence[str], curve: str) -> None:
    longest = 0
    for position, variant in enumerate(variants):
        color, style, marker = _style(position)
        runs = [_values(run["curve"]) for run in variant["runs"] if run["curve"]]
        if not runs:
            continue
        longest = max(longest, *map(len, runs))
        common = min(map(len, runs))
        values = np.stack([run[:common] for run in runs])
        epochs = np.arange(1, common + 1)
        mean = values.mean(axis=0)
        if len(runs) > 1:
            for run in runs:
                x = np.arange(1, len(run) + 1)
                axes.plot(x, run, color=color, linestyle=style, linewidth=0.7, alpha=0.45)
            std = values.std(axis=0, ddof=1)
            band = np.stack([mean - std, mean + std])
            if is_share(curve):
                band = np.clip(band, 0, 1)
            axes.fill_between(epochs, *band, color=color, alpha=0.15, linewidth=0)
        axes.plot(
            epochs,
            mean,
            color=color,
            linestyle=style,
            linewidth=1.8,
            marker=marker,
            markersize=4,
            markevery=max(1, common // 8),
            label=names[position],
        )
    if is_share(curve):
        axes.yaxis.set_major_formatter(FuncFormatter(percent_tick))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if longest == 1:
        axes.set_xlim(0.5, 1.5)
        axes.set_xticks([1])
    style_axes(axes, f"{metric_name(curve)} by epoch", "epoch", "")


def _values(curve: Sequence[Sequence[float | None]]) -> np.ndarray:
    return np.array([np.nan if value is None else value for _, value in curve], np.float64)


def _style(position: int) -> tuple[str, str, str]:
    """Returns color, line style and marker, so that variants differ without colors, too."""
    return (
        _COLORS[position % len(_COLORS)],
        _STYLES[position % len(_STYLES)],
        _MARKERS[position % len(_MARKERS)],
    )


def _short_names(names: Sequence[str]) -> list[str]:
    """Shortens long names, and numbers those that become equal."""
    short = [shorten(name, _MAX_NAME) for name in names]
    return [
        f"{name} ({position + 1})" if short.count(name) > 1 else name
        for position, name in enumerate(short)
    ]
