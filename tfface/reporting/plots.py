"""Plots (PNG, without a display): the common style, training runs and benchmarks."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tfface.files import replacing
from tfface.reporting.contact_sheet import MADE_BY

# The color-blind safe palette of Okabe and Ito; lines differ in style as well.
BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#CC79A7",
    "#56B4E9",
)
LINES = [
    (color, style) for style in ("-", "--", ":") for color in (BLUE, VERMILION, GREEN, ORANGE)
] + [(PURPLE, "-"), (SKY, "-")]
GRAY = "#666666"

# More points of a curve can't be seen.
_MAX_POINTS = 4000
# Columns of an epoch that are not plotted.
_NOT_CURVES = ("epoch", "step", "stage")
_NOT_CURVE_ENDINGS = ("_seconds", "_bytes", "_per_second")


def style_axes(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    """Applies the common style."""
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#DDDDDD", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def percent_tick(value: float, position: int | None = None) -> str:
    """Formats a tick in percent; no text above 100 % and for more than two decimals."""
    rounded = round(100 * value, 2)
    return f"{rounded:g}%" if abs(100 * value - rounded) < 1e-9 and rounded <= 100 else ""


def integer_tick(value: float, position: int | None = None) -> str:
    """Formats an integer tick; no text for others."""
    return f"{value:,.0f}" if value == round(value) else ""


def shorten(name: str, max_length: int) -> str:
    """Removes the middle of a long name, since names often differ at their ends only."""
    # Dollar signs would start a formula.
    name = name.replace("$", r"\$")
    if len(name) <= max_length:
        return name
    half = max_length // 2
    return f"{name[:half]}\u2026{name[-(max_length - half - 1) :]}"


class NotebookFigure(Figure):
    """A figure that a notebook shows, also where nobody has imported pyplot."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=100)
        return file.getvalue()


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a PNG file atomically."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=130, metadata=MADE_BY)


def plot_log_curves(
    path: Path,
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    left: float | None = None,
) -> None:
    """Plots step curves of rates over a rate on a log axis, as an ROC.

    Args:
        path: the PNG.
        curves, title, x_label, y_label, left: as for `draw_log_curves`.
    """
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.add_subplot()
    draw_log_curves(axes, curves, title=title, x_label=x_label, y_label=y_label, left=left)
    save_figure(figure, path)


def draw_log_curves(
    axes: Axes,
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    left: float | None = None,
) -> None:
    """Draws step curves of rates over a rate on a log axis.

    Args:
        axes: to draw on.
        curves: name -> (x, y), both ascending from 0; points with x = 0 are not shown.
        left: left limit of the axis; by default that of the curves.
    """
    lowest, highest = 1.0, 0.0
    for number, (name, (x, y)) in enumerate(curves.items()):
        color, style = LINES[number % len(LINES)]
        # The highest y of each x.
        shown = (x > 0) & np.append(np.diff(x) > 0, True)
        x, y = thin_curve(x[shown], y[shown])
        lowest, highest = min(lowest, y[0]), max(highest, y[-1])
        axes.plot(
            x,
            y,
            color=color,
            linestyle=style,
            linewidth=1.8,
            drawstyle="steps-post",
            marker="o" if len(x) < 3 else None,
            label=name,
        )
    axes.set_xscale("log")
    axes.set_xlim(left=left, right=1)
    bottom = max(0, np.floor(lowest * 20) / 20 - 0.01)
    axes.set_ylim(bottom, highest + max(0.005, (highest - bottom) / 30))
    axes.yaxis.set_major_formatter(FuncFormatter(percent_tick))
    style_axes(axes, title, x_label, y_label)
    axes.legend(frameon=False, loc="lower right")


def thin_curve(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Removes points of an ascending curve that are too close on a log axis to be seen."""
    if len(x) <= _MAX_POINTS:
        return x, y
    # Each remaining point represents those up to it; the last of them has the highest y.
    kept = np.unique(np.searchsorted(x, np.geomspace(x[0], 1, _MAX_POINTS), side="right") - 1)
    return x[kept], y[kept]


class Histogram(NamedTuple):
    """Values of one kind.

    Attributes:
        total: the heights of the bars are shares of this number.
        hatch: pattern, so that kinds differ without colors; None for none.
    """

    values: np.ndarray
    total: int
    label: str
    color: str
    hatch: str | None


def plot_similarity_histograms(
    path: Path,
    histograms: Sequence[Histogram],
    *,
    threshold: float | None,
    title: str,
    y_label: str,
) -> None:
    """Plots distributions of cosine similarities, and a threshold.

    Args:
        path: the PNG.
        histograms, threshold, title, y_label: as for `draw_similarity_histograms`.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    draw_similarity_histograms(axes, histograms, threshold=threshold, title=title, y_label=y_label)
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    save_figure(figure, path)


def draw_similarity_histograms(
    axes: Axes,
    histograms: Sequence[Histogram],
    *,
    threshold: float | None,
    title: str,
    y_label: str,
) -> None:
    """Draws distributions of cosine similarities, and a threshold; without a legend.

    Args:
        axes: to draw on.
        histograms: together with at least one value; empty ones are not shown.
        threshold: None for none.
    """
    marks = [] if threshold is None else [threshold]
    everything = np.concatenate([*(one.values for one in histograms), marks])
    low, high = everything.min(), everything.max()
    bins = np.linspace(low, max(high, low + 1e-6), 61).tolist()
    for values, total, label, color, hatch in histograms:
        if not len(values):
            continue
        axes.hist(
            values,
            bins=bins,
            weights=np.full(len(values), 1 / total),
            histtype="stepfilled",
            facecolor=f"{color}59",
            hatch=hatch,
            edgecolor=color,
            label=label,
        )
    if threshold is not None:
        label = f"threshold {threshold:.3f}"
        axes.axvline(threshold, color="black", linestyle="--", linewidth=1.2, label=label)
    axes.yaxis.set_major_formatter(FuncFormatter(percent_tick))
    style_axes(axes, title, "cosine similarity", y_label)


def plot_training_curves(
    path: Path, epochs: Sequence[Mapping[str, Any]], *, title: str = ""
) -> None:
    """Plots each metric over the epochs, training and validation in one panel.

    Args:
        path: the PNG.
        epochs: epoch records of `metrics.jsonl`, at least one. Metrics may be missing or null in
            some. A line marks where `stage` changes.
    """
    panels = _panels(epochs)
    columns = min(2, max(1, len(panels)))
    rows = -(-max(1, len(panels)) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.7 * rows), layout="constrained")
    x = [record["epoch"] for record in epochs]
    for number, (name, keys) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, number + 1)
        for key in keys:
            validation = key.startswith("val_")
            axes.plot(
                x,
                [_number(record.get(key)) for record in epochs],
                color=VERMILION if validation else BLUE,
                linestyle="--" if validation else "-",
                marker="o" if len(epochs) <= 25 else None,
                markersize=3.5,
                label="validation" if validation else "training",
            )
        axes.margins(y=0.12)  # room for the names of the stages
        if name == "learning_rate" and _ratio(epochs, name) > 20:
            axes.set_yscale("log")
        _mark_stages(axes, epochs)
        style_axes(axes, name.replace("_", " "), "epoch", "")
        axes.set_xlim(x[0] - 0.5, x[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(keys) > 1 or keys[0].startswith("val_"):
            axes.legend(frameon=False, fontsize=9)
    if title:
        figure.suptitle(shorten(title, 60))
    save_figure(figure, path)


def plot_throughput(path: Path, rows: Sequence[Mapping]) -> None:
    """Plots images per second: a bar for each median, with a line from minimum to maximum.

    Args:
        path: the PNG.
        rows: each with `name` and `images_per_second`: {min, median, max}, all > 0. The axis is
            logarithmic if the medians span more than a factor of 30.
    """
    names = [row["name"] for row in rows]
    low, median, high = (
        np.array([row["images_per_second"][key] for row in rows])
        for key in ("min", "median", "max")
    )
    size = (6.4 + 0.08 * max(map(len, names)), 1.3 + 0.38 * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    positions = np.arange(len(rows))
    axes.barh(positions, median, height=0.66, color=BLUE, alpha=0.75)
    axes.errorbar(
        median,
        positions,
        xerr=(median - low, high - median),
        fmt="none",
        color="black",
        capsize=3,
        linewidth=1.2,
    )
    for position, rate in enumerate(median):
        label_row(axes, position, f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}")
    axes.set_yticks(positions, names)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    wide = median.max() > 30 * median.min()
    title = "images per second: median, minimum and maximum"
    style_axes(axes, f"{title} (log scale)" if wide else title, "", "")
    if wide:
        axes.set_xscale("log")
        # By default, the axis begins at the shortest bar, which is then invisible.
        axes.set_xlim(left=10 ** np.floor(np.log10(low.min())))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.xaxis.set_major_formatter(FuncFormatter(integer_tick))
    axes.grid(visible=False, axis="y")
    save_figure(figure, path)


def label_row(axes: Axes, position: float, text: str, color: str = "black") -> None:
    """Writes text to the right of the axes, where it covers no data."""
    right = axes.get_yaxis_transform()
    axes.text(1.02, position, text, transform=right, va="center", fontsize=8.5, color=color)


def _panels(epochs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Returns panel -> keys: loss and accuracy first, the learning rate last."""
    keys = {
        key
        for record in epochs
        for key, value in record.items()
        if key not in _NOT_CURVES
        and not key.endswith(_NOT_CURVE_ENDINGS)
        and isinstance(value, int | float)
    }
    panels: dict[str, list[str]] = {}
    for key in sorted(keys, key=lambda key: (key.startswith("val_"), key)):
        panels.setdefault(key.removeprefix("val_"), []).append(key)
    rank = {"loss": 0, "accuracy": 1, "learning_rate": 3}
    return dict(sorted(panels.items(), key=lambda panel: (rank.get(panel[0], 2), panel[0])))


def _mark_stages(axes: Axes, epochs: Sequence[Mapping[str, Any]]) -> None:
    stages = [record.get("stage") for record in epochs]
    if len(set(stages)) < 2:
        return
    starts = [i for i in range(len(stages)) if i == 0 or stages[i] != stages[i - 1]]
    for start in starts:
        position = epochs[start]["epoch"] - 0.5
        if start:
            axes.axvline(position, color=GRAY, linestyle=":", linewidth=1)
        axes.annotate(
            shorten(str(stages[start]), 24),
            (position, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -3),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=GRAY,
        )


def _ratio(epochs: Sequence[Mapping[str, Any]], key: str) -> float:
    values = np.array([_number(record.get(key)) for record in epochs])
    values = values[values > 0]
    return float(values.max() / values.min()) if len(values) else 1.0


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
