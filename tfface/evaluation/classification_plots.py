"""Plots of classification: accuracy by group, confusion, calibration, and confident errors."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from tfface.data.sources.image_source import ImageSource
from tfface.evaluation.classification import Classification
from tfface.images.decoding import decode_picture
from tfface.reporting.classification_tables import group_note, subsets
from tfface.reporting.contact_sheet import draw_contact_sheet
from tfface.reporting.html import Plot
from tfface.reporting.plots import (
    BLUE,
    GRAY,
    SKY,
    VERMILION,
    NotebookFigure,
    percent_tick,
    save_figure,
    shorten,
    style_axes,
)

_MAX_GROUPS = 16
# Size of a thumbnail in pixels: wide enough for most captions.
_CELL = 150
# A matrix of more classes shows the most frequent confusions.
_MAX_CLASSES = 24
_MAX_NAME = 24
_OTHERS = "all others"


def plot_classification(
    classification: Classification, source: ImageSource, folder: Path
) -> list[Plot]:
    """Plots a classification.

    Args:
        source: the classified images.
        folder: for confusion.png, reliability.png, groups.png (with groups or identities), and
            most_wrong.png (with errors).

    Returns:
        The plots, in the order of a report.

    Raises:
        InputError: a plot can't be written.
    """
    result, metrics = classification.result, classification.to_dict()
    plots = []
    if classification.groups or classification.people:
        path = folder / "groups.png"
        plot_groups(path, list(subsets(metrics, _MAX_GROUPS)))
        note = group_note(metrics, _MAX_GROUPS)
        plots.append(Plot(path, f"Accuracy by group{f': {note}' if note else ''}."))
    path = folder / "confusion.png"
    predictions = result.predictions
    plot_confusion_matrix(path, predictions.label, predictions.predicted, result.classes)
    plots.append(Plot(path, "Confusion matrix: images of each class by predicted class."))
    path = folder / "reliability.png"
    plot_reliability_diagram(path, metrics["calibration"], ece=result.summary.ece)
    plots.append(Plot(path, "Reliability diagram: accuracy of predictions by confidence."))
    if metrics["most_wrong"]:
        plots.append(_draw_errors(folder / "most_wrong.png", classification, source))
    return plots


def _draw_errors(path: Path, classification: Classification, source: ImageSource) -> Plot:
    indices = classification.most_wrong.tolist()
    images = [decode_picture(source.read(index).encoded) for index in indices]
    captions = [
        f"true: {one['label']}\npredicted: {one['predicted']} ({one['confidence']:.1%})\n"
        f"{os.path.basename(one['image'])}"
        for one in classification.to_dict()["most_wrong"]
    ]
    num_errors = int(np.count_nonzero(~classification.result.predictions.is_correct))
    title = f"The {num_errors:,} errors"
    if num_errors > len(indices):
        title = f"{len(indices)} of the {num_errors:,} errors"
    title += ", in descending order of confidence"
    draw_contact_sheet(path, images, captions, title=title, cell=_CELL)
    return Plot(path, f"{title}.", (images, captions))


def plot_confusion_matrix(
    path: Path, labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> None:
    """Plots a confusion matrix, see `confusion_figure`.

    Args:
        path: the PNG.
        labels, predicted, classes: as for `confusion_figure`.
    """
    save_figure(confusion_figure(labels, predicted, classes), path)


def confusion_figure(labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> Figure:
    """Returns a figure of how many images of each class are predicted as each class.

    A cell shows the number of images, its color their share of the row. Of more than 24 classes,
    those with the most frequent confusions are shown, and the others together.

    Args:
        labels, predicted: int [num_images], at least one, each an index of `classes`.
        classes: names.
    """
    shown = _classes_to_show(labels, predicted, len(classes))
    names = [shorten(classes[index], _MAX_NAME) for index in shown]
    # Row of each class; the others, if any, come last.
    rows = np.full(len(classes), len(shown))
    rows[shown] = np.arange(len(shown))
    if len(shown) < len(classes):
        names.append(_OTHERS)
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (rows[labels], rows[predicted]), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    inches = 1.6 + 0.36 * max(5, len(names)) + 0.07 * max(map(len, names))
    figure = NotebookFigure(figsize=(inches + 0.8, inches), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
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
    some = f": {len(shown)} of {len(classes):,} classes" if len(shown) < len(classes) else ""
    style_axes(axes, f"confusion matrix{some}", "predicted class", "true class")
    # Lines between the cells guide the eye along a row.
    axes.grid(visible=False)
    between = np.arange(len(names) - 1) + 0.5
    axes.hlines(between, -0.5, len(names) - 0.5, color="#DDDDDD", linewidth=0.6)
    axes.vlines(between, -0.5, len(names) - 0.5, color="#DDDDDD", linewidth=0.6)
    rotate = len(names) > 3 or max(map(len, names)) > 10
    axes.set_xticks(range(len(names)), names, rotation=90 if rotate else 0)
    axes.set_yticks(range(len(names)), names)
    bar = figure.colorbar(image, ax=axes, shrink=0.7, format=FuncFormatter(percent_tick))
    bar.set_label("share of the row")
    bar.outline.set_visible(False)
    return figure


def plot_reliability_diagram(path: Path, bins: Sequence[Mapping], *, ece: float) -> None:
    """Plots accuracy and number of predictions for each bin of confidence.

    Args:
        path: the PNG.
        bins: `calibration` of `tfface evaluate classification --json`.
        ece: the expected calibration error.
    """
    figure = Figure(figsize=(5.2, 5.6), layout="constrained")
    axes, below = figure.subplots(2, sharex=True, height_ratios=(3.2, 1))
    filled = [one for one in bins if one["num_images"]]
    left = [one["low"] for one in filled]
    accuracy = [one["accuracy"] for one in filled]
    width = bins[0]["high"] - bins[0]["low"]
    style = {"width": width, "align": "edge", "edgecolor": "white", "linewidth": 1}
    axes.bar(left, accuracy, color=BLUE, label="accuracy", **style)
    axes.plot(
        [0, 1], [0, 1], color=GRAY, linestyle="--", linewidth=1.2, label="perfect calibration"
    )
    axes.plot(
        [one["confidence"] for one in filled],
        accuracy,
        color=VERMILION,
        marker="o",
        markersize=3.5,
        linestyle="none",
        label="accuracy at the mean confidence",
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(FuncFormatter(percent_tick))
    style_axes(axes, f"reliability: expected calibration error {ece:.3f}", "", "accuracy")
    axes.legend(loc="upper left", fontsize=9, edgecolor="none", framealpha=0.85)
    below.bar(left, [one["num_images"] for one in filled], color=SKY, **style)
    below.xaxis.set_major_formatter(FuncFormatter(percent_tick))
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    style_axes(below, "", "confidence: probability of the predicted class", "images")
    save_figure(figure, path)


def plot_groups(path: Path, subsets: Sequence[tuple[str, Mapping]]) -> None:
    """Plots the accuracy of each subset of the images with its 95 % interval.

    Args:
        path: the PNG.
        subsets: (name, metrics as `tfface evaluate classification --json` writes them), at least
            one, from top to bottom.
    """
    figure = Figure(figsize=(7.2, 1.2 + 0.32 * len(subsets)), layout="constrained")
    axes = figure.add_subplot()
    for position, (name, metrics) in enumerate(subsets):
        low, high = metrics["accuracy_interval"]
        accuracy = metrics["accuracy"]
        axes.barh(position, accuracy, color=_color(name), height=0.72)
        axes.plot([low, high], [position] * 2, color="black", linewidth=1.4, marker="|")
        text = f"{accuracy:.1%} of {metrics['num_images']:,} images"
        axes.text(1.02, position, text, va="center", fontsize=8.5)
    axes.set_yticks(range(len(subsets)), [shorten(name, 60) for name, _ in subsets])
    axes.set_ylim(len(subsets) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(FuncFormatter(percent_tick))
    style_axes(axes, "", "accuracy with 95% interval", "")
    axes.grid(visible=False, axis="y")
    save_figure(figure, path)


def _color(name: str) -> str:
    if "unseen identities" in name:
        return VERMILION
    return SKY if "seen identities" in name else BLUE


def _classes_to_show(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns all classes, or those of the most frequent confusions, ascending."""
    if num_classes <= _MAX_CLASSES:
        return np.arange(num_classes)
    wrong = labels != predicted
    cells, counts = np.unique(labels[wrong] * num_classes + predicted[wrong], return_counts=True)
    chosen: dict[int, None] = {}
    for cell in cells[np.argsort(-counts, kind="stable")].tolist():
        both = divmod(cell, num_classes)
        if len(chosen.keys() | set(both)) > _MAX_CLASSES:
            break
        chosen |= dict.fromkeys(both)
    # If there are few confusions, the classes with the most images are added.
    common = np.argsort(-np.bincount(labels, minlength=num_classes), kind="stable").tolist()
    for label in common:
        if len(chosen) == _MAX_CLASSES:
            break
        chosen[label] = None
    return np.sort(np.array(list(chosen)))
