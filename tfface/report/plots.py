"""Pictures of training and of verification (PNG, drawn without a display)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tfface.files import replacing

# Okabe and Ito's palette, which colour-blind readers can tell apart; lines differ in style as well.
BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#CC79A7",
    "#56B4E9",
)
_LINES = [
    (colour, style) for style in ("-", "--", ":") for colour in (BLUE, VERMILLION, GREEN, ORANGE)
] + [(PURPLE, "-"), (SKY, "-")]
_GREY = "#666666"

# What a record of an epoch holds beside curves.
_NOT_CURVES = ("epoch", "step", "stage")
_NOT_CURVE_ENDINGS = ("_seconds", "_bytes", "_per_second")


def draw_curves(path: Path, epochs: Sequence[Mapping[str, object]], *, title: str = "") -> None:
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
                color=VERMILLION if validation else BLUE,
                linestyle="--" if validation else "-",
                marker="o" if len(epochs) <= 25 else None,
                markersize=3.5,
                label="validation" if validation else "training",
            )
        axes.margins(y=0.12)  # room for the stages' names
        if name == "learning_rate" and _spread(epochs, name) > 20:
            axes.set_yscale("log")
        _mark_stages(axes, epochs)
        _dress(axes, name.replace("_", " "), "epoch", "")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(keys) > 1 or keys[0].startswith("val_"):
            axes.legend(frameon=False, fontsize=9)
    if title:
        figure.suptitle(title)
    _save(figure, path)


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
        colour, style = _LINES[number % len(_LINES)]
        # The best TAR of each FAR; below its first false accept a curve has no pair to tell by.
        shown = (far > 0) & np.append(np.diff(far) > 0, True)
        lowest = min(lowest, tar[shown][0])
        axes.plot(
            far[shown],
            tar[shown],
            color=colour,
            linestyle=style,
            linewidth=1.8,
            drawstyle="steps-post",
            label=name,
        )
    axes.set_xscale("log")
    axes.set_xlim(right=1)
    axes.set_ylim(np.floor(lowest * 20) / 20 - 0.005, 1.005)
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    _dress(axes, "ROC", "false accept rate (FAR)", "true accept rate (TAR)")
    axes.legend(frameon=False, loc="lower right")
    _save(figure, path)


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
        (impostor, "impostor", VERMILLION, "////"),
        (genuine, "genuine", BLUE, None),
    ):
        axes.hist(
            values,
            bins=bins,
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
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    _dress(axes, f"{title}: similarity of the pairs", "cosine similarity", "share of pairs")
    figure.legend(frameon=False, loc="outside lower center", ncols=3)
    _save(figure, path)


def draw_images_per_identity(
    path: Path, counts: Mapping[str, np.ndarray], *, title: str = ""
) -> None:
    """Draws how many identities have how many images, one outline for each source.

    Large numbers of images share a bar; its height is the mean of what each of them alone has, so
    that bars of different widths can be compared.

    Either axis is logarithmic where its values span more than a factor of 30.

    Args:
        path: the PNG.
        counts: source -> int [identities], images of each identity, together at least one above 0.
        title: the name of the dataset.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    # An identity without images has no place on a logarithmic axis, and is no identity to train on.
    shown = {name: of_source[of_source > 0] for name, of_source in counts.items()}
    shown = {name: of_source for name, of_source in shown.items() if len(of_source)}
    everything = np.concatenate(list(shown.values()))
    smallest, largest = int(everything.min()), int(everything.max())
    wide = largest > 30 * smallest
    edges = [smallest]
    while edges[-1] <= largest:
        edges.append(edges[-1] + max(1, edges[-1] // 5 if wide else (largest - smallest) // 40))
    edges = np.array(edges)
    drawn = []
    for number, (name, of_source) in enumerate(shown.items()):
        colour, style = _LINES[number % len(_LINES)]
        heights = np.histogram(of_source, edges)[0] / np.diff(edges)
        drawn.append(heights[heights > 0])
        axes.hist(
            edges[:-1],
            weights=heights,
            # The bar of n stands about n.
            bins=edges - 0.5,
            histtype="stepfilled" if len(shown) == 1 else "step",
            facecolor=f"{colour}59",
            edgecolor=colour,
            linestyle=style,
            linewidth=1.6,
            label=f"{name} ({len(of_source):,} identities)",
        )
    median = float(np.median(everything))
    axes.axvline(median, color="black", linestyle="--", linewidth=1.2, label=f"median: {median:g}")
    if wide:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(_whole))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    lowest, highest = (float(end(np.concatenate(drawn))) for end in (np.min, np.max))
    if highest > 30 * lowest:
        axes.set_yscale("log")
        axes.set_ylim(bottom=lowest / 1.5)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    y_label = "identities with so many" + (
        " (mean over a bar)" if edges[-1] - edges[-2] > 1 else ""
    )
    _dress(axes, title or "images per identity", "images of an identity", y_label)
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    _save(figure, path)


def _panels(epochs: Sequence[Mapping[str, object]]) -> dict[str, list[str]]:
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


def _mark_stages(axes: Axes, epochs: Sequence[Mapping[str, object]]) -> None:
    stages = [record.get("stage") for record in epochs]
    if len(set(stages)) < 2:
        return
    starts = [i for i in range(len(stages)) if i == 0 or stages[i] != stages[i - 1]]
    for start in starts:
        position = epochs[start]["epoch"] - 0.5
        if start:
            axes.axvline(position, color=_GREY, linestyle=":", linewidth=1)
        axes.annotate(
            str(stages[start]),
            (position, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -3),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=_GREY,
        )
    axes.set_xlim(left=epochs[0]["epoch"] - 0.5)


def _spread(epochs: Sequence[Mapping[str, object]], key: str) -> float:
    values = np.array([_number(record.get(key)) for record in epochs])
    values = values[values > 0]
    return float(values.max() / values.min()) if len(values) else 1.0


def _number(value: object) -> float:
    return float("nan") if value is None else float(value)


def _percent(value: float, position: int | None = None) -> str:
    return f"{100 * value:g}%" if abs(100 * value - round(100 * value, 2)) < 1e-9 else ""


def _whole(value: float, position: int | None = None) -> str:
    return f"{value:,.0f}" if value == round(value) else ""


def _dress(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#DDDDDD", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=130)
