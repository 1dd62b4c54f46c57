"""The curves of a training run (PNG, drawn without a display)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tfface.reporting.plots.style import BLUE, GREY, VERMILION, dress, save

# What a record of an epoch holds beside curves.
_NOT_CURVES = ("epoch", "step", "stage")
_NOT_CURVE_ENDINGS = ("_seconds", "_bytes", "_per_second")


def draw_curves(path: Path, epochs: Sequence[Mapping[str, Any]], *, title: str = "") -> None:
    """Draws every figure of the epochs over the epochs: one panel for each and its `val_` twin.

    Args:
        path: the PNG.
        epochs: records of epochs as in `metrics.jsonl`, at least one. A figure may be missing or
            null in some. Where `stage` changes, a line marks it.
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
        axes.margins(y=0.12)  # room for the stages' names
        if name == "learning_rate" and _spread(epochs, name) > 20:
            axes.set_yscale("log")
        _mark_stages(axes, epochs)
        dress(axes, name.replace("_", " "), "epoch", "")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(keys) > 1 or keys[0].startswith("val_"):
            axes.legend(frameon=False, fontsize=9)
    if title:
        figure.suptitle(title)
    save(figure, path)


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
            axes.axvline(position, color=GREY, linestyle=":", linewidth=1)
        axes.annotate(
            str(stages[start]),
            (position, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -3),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=GREY,
        )
    axes.set_xlim(left=epochs[0]["epoch"] - 0.5)


def _spread(epochs: Sequence[Mapping[str, Any]], key: str) -> float:
    values = np.array([_number(record.get(key)) for record in epochs])
    values = values[values > 0]
    return float(values.max() / values.min()) if len(values) else 1.0


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
