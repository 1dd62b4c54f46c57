"""Pictures of classification (PNG, drawn without a display)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from tfface.reporting.plots.style import BLUE, GREY, SKY, VERMILION, dress, percent, save

# A matrix of more classes is drawn for those that are confused most.
_MOST_CLASSES = 24
_LONGEST_NAME = 24
_OTHERS = "all others"


def draw_confusion(
    path: Path, labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> None:
    """Draws how many images of each class were taken for which.

    A cell's number is of images, its colour their share of the row. Of more than 24 classes, those
    of the most frequent confusions are drawn, and the others together.

    Args:
        path: the PNG.
        labels, predicted: int [num_images], at least one, each a place in `classes`.
        classes: their names.
    """
    shown = _classes_to_show(labels, predicted, len(classes))
    names = [_short(classes[place]) for place in shown]
    # Place among those shown; the others come last, if there are any.
    places = np.full(len(classes), len(shown))
    places[shown] = np.arange(len(shown))
    if len(shown) < len(classes):
        names.append(_OTHERS)
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (places[labels], places[predicted]), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    inches = 1.6 + 0.36 * max(5, len(names)) + 0.07 * max(map(len, names))
    figure = Figure(figsize=(inches + 0.8, inches), layout="constrained")
    axes = figure.add_subplot()
    drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(counts).tolist():
        axes.text(
            column,
            row,
            f"{counts[row, column]:,}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if shares[row, column] > 0.5 else "black",
        )
    dress(axes, "", "taken for", "is")
    axes.set_title(
        "confusion"
        if len(shown) == len(classes)
        else f"confusion: the {len(shown)} of {len(classes):,} classes confused most",
        fontsize=11,
    )
    # Lines between the cells lead the eye along a row.
    axes.grid(visible=False)
    between = np.arange(len(names) - 1) + 0.5
    axes.hlines(between, -0.5, len(names) - 0.5, color="#DDDDDD", linewidth=0.6)
    axes.vlines(between, -0.5, len(names) - 0.5, color="#DDDDDD", linewidth=0.6)
    axes.set_xticks(range(len(names)), names, rotation=90 if _need_turning(names) else 0)
    axes.set_yticks(range(len(names)), names)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.7, format=FuncFormatter(percent))
    bar.set_label("share of the row")
    bar.outline.set_visible(False)
    save(figure, path)


def draw_reliability(path: Path, bins: Sequence[Mapping], *, ece: float) -> None:
    """Draws how often answers of each confidence are right, and how many answers there are.

    Args:
        path: the PNG.
        bins: as `eval_classification --json` writes them (`calibration`).
        ece: the expected calibration error.
    """
    figure = Figure(figsize=(5.2, 5.6), layout="constrained")
    axes, below = figure.subplots(2, sharex=True, height_ratios=(3.2, 1))
    filled = [one for one in bins if one["num_images"]]
    left = [one["low"] for one in filled]
    width = bins[0]["high"] - bins[0]["low"]
    style = {"width": width, "align": "edge", "edgecolor": "white", "linewidth": 1}
    axes.bar(
        left, [one["accuracy"] for one in filled], color=BLUE, label="share that is right", **style
    )
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2, label="as often as said")
    axes.plot(
        [one["confidence"] for one in filled],
        [one["accuracy"] for one in filled],
        color=VERMILION,
        marker="o",
        markersize=3.5,
        linestyle="none",
        label="share right over mean confidence",
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(FuncFormatter(percent))
    dress(axes, f"reliability: expected calibration error {ece:.3f}", "", "share that is right")
    axes.legend(frameon=False, loc="upper left", fontsize=9)
    below.bar(left, [one["num_images"] for one in filled], color=SKY, **style)
    below.xaxis.set_major_formatter(FuncFormatter(percent))
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    dress(below, "", "confidence: the probability of the class that was said", "images")
    save(figure, path)


def draw_groups(path: Path, parts: Sequence[tuple[str, Mapping]]) -> None:
    """Draws the accuracy on each part of the images as a bar, with its 95 % interval.

    Args:
        path: the PNG.
        parts: (what the images are of, their figures as `eval_classification --json` writes them),
            at least one, from the top down.
    """
    figure = Figure(figsize=(7.2, 1.2 + 0.32 * len(parts)), layout="constrained")
    axes = figure.add_subplot()
    for place, (name, part) in enumerate(parts):
        low, high = part["accuracy_interval"]
        share = part["accuracy"]
        axes.barh(place, share, color=_colour(name), height=0.72)
        axes.plot([low, high], [place, place], color="black", linewidth=1.4)
        axes.plot([low, high], [place, place], color="black", marker="|", linestyle="none")
        axes.text(
            1.02, place, f"{share:.1%} of {part['num_images']:,} images", va="center", fontsize=8.5
        )
    axes.set_yticks(range(len(parts)), [_short(name, 60) for name, _ in parts])
    axes.set_ylim(len(parts) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(FuncFormatter(percent))
    dress(axes, "", "accuracy, with its 95% interval", "")
    axes.grid(visible=False, axis="y")
    save(figure, path)


def _colour(name: str) -> str:
    if "not seen" in name:
        return VERMILION
    return SKY if "seen" in name else BLUE


def _classes_to_show(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns all classes, or those of the most frequent confusions, rising."""
    if num_classes <= _MOST_CLASSES:
        return np.arange(num_classes)
    wrong = labels != predicted
    cells, counts = np.unique(labels[wrong] * num_classes + predicted[wrong], return_counts=True)
    chosen: dict[int, None] = {}
    for cell in cells[np.argsort(-counts, kind="stable")].tolist():
        both = divmod(cell, num_classes)
        if len(chosen.keys() | set(both)) > _MOST_CLASSES:
            break
        chosen |= dict.fromkeys(both)
    # Where little or nothing is confused, the classes with the most images fill up.
    common = np.argsort(-np.bincount(labels, minlength=num_classes), kind="stable").tolist()
    for place in common:
        if len(chosen) == _MOST_CLASSES:
            break
        chosen[place] = None
    return np.sort(np.array(list(chosen)))


def _need_turning(names: Sequence[str]) -> bool:
    return len(names) > 3 or max(map(len, names)) > 10


def _short(name: str, longest: int = _LONGEST_NAME) -> str:
    """Cuts the middle out of a long name, as names often differ at their ends only."""
    # Dollar signs would begin a formula.
    name = name.replace("$", r"\$")
    if len(name) <= longest:
        return name
    return f"{name[: longest // 2]}\u2026{name[-(longest - longest // 2 - 1) :]}"
