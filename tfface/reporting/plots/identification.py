"""Pictures of identification (PNG, drawn without a display)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tfface.reporting.plots.style import BLUE, GREY, LINES, VERMILION, dress, percent, save


def draw_cmc(path: Path, curves: Mapping[str, Sequence[float]]) -> None:
    """Draws the share of known queries whose right identity is among the first n, over n.

    Args:
        path: the PNG.
        curves: gallery -> CMC(1), CMC(2), ..; at least one value.
    """
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    lowest, last = 1.0, 1
    for number, (name, cmc) in enumerate(curves.items()):
        colour, style = LINES[number % len(LINES)]
        ranks = np.arange(1, len(cmc) + 1)
        lowest, last = min(lowest, cmc[0]), max(last, len(cmc))
        axes.plot(
            ranks,
            cmc,
            color=colour,
            linestyle=style,
            linewidth=1.8,
            marker="o",
            markersize=3.5 if len(cmc) <= 25 else 2.5,
            label=f"{name}: {100 * cmc[0]:.2f}% at rank 1",
        )
    axes.set_xlim(0.5, max(last, 2) + 0.5)
    bottom = max(0, np.floor(lowest * 20) / 20 - 0.05)
    axes.set_ylim(bottom, 1 + (1 - bottom) / 30)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(percent))
    dress(axes, "Cumulative match (CMC)", "rank", "right identity found up to this rank")
    axes.legend(frameon=False, loc="lower right")
    save(figure, path)


def draw_open_set(
    path: Path, curves: Mapping[str, tuple[np.ndarray, np.ndarray]], *, num_strangers: int
) -> None:
    """Draws TPIR over FPIR, FPIR on a log axis that ends where the strangers end.

    Args:
        path: the PNG.
        curves: gallery -> (FPIR, TPIR), both rising from 0.
        num_strangers: queries of strangers, at least one.
    """
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    lowest, highest = 1.0, 0.0
    for number, (name, (fpir, tpir)) in enumerate(curves.items()):
        colour, style = LINES[number % len(LINES)]
        # The best TPIR of each FPIR; below the first stranger named there is none to tell by.
        shown = (fpir > 0) & np.append(np.diff(fpir) > 0, True)
        lowest, highest = min(lowest, tpir[shown].min()), max(highest, tpir[shown].max())
        axes.plot(
            fpir[shown],
            tpir[shown],
            color=colour,
            linestyle=style,
            linewidth=1.8,
            drawstyle="steps-post",
            marker="o" if np.count_nonzero(shown) < 3 else None,
            label=f"{name} ({num_strangers:,} queries of strangers)",
        )
    axes.set_xscale("log")
    axes.set_xlim(min(0.5, 0.8 / num_strangers), 1)
    bottom = max(0, np.floor(lowest * 20) / 20 - 0.05)
    axes.set_ylim(bottom, highest + max(0.005, (highest - bottom) / 30))
    axes.yaxis.set_major_formatter(FuncFormatter(percent))
    dress(
        axes,
        "Open set",
        "strangers who get a name (FPIR)",
        "known faces that get the right name (TPIR)",
    )
    axes.legend(frameon=False, loc="lower right")
    save(figure, path)


def draw_top_similarities(
    path: Path,
    *,
    right: np.ndarray,
    wrong: np.ndarray,
    strangers: np.ndarray,
    threshold: float | None,
    title: str,
) -> None:
    """Draws how similar queries are to what is found first, and the advised threshold.

    Args:
        path: the PNG.
        right, wrong: cosines of known queries whose right identity is first, and of the others.
        strangers: cosines of queries of strangers. Together there is at least one query.
        threshold: from this cosine on a face gets a name; None where none is advised.
        title: the name of the gallery.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    everything = np.concatenate([right, wrong, strangers, [] if threshold is None else [threshold]])
    bins = np.linspace(everything.min(), max(everything.max(), everything.min() + 1e-6), 61)
    num_known = len(right) + len(wrong)
    for values, of, name, colour, hatch in (
        (strangers, len(strangers), "strangers", VERMILION, "////"),
        (right, num_known, "known, right name first", BLUE, None),
        (wrong, num_known, "known, wrong name first", GREY, "...."),
    ):
        if not len(values):
            continue
        axes.hist(
            values,
            bins=bins.tolist(),
            weights=np.full(len(values), 1 / of),
            histtype="stepfilled",
            facecolor=f"{colour}59",
            hatch=hatch,
            edgecolor=colour,
            label=f"{name} ({len(values):,})",
        )
    if threshold is not None:
        axes.axvline(
            threshold,
            color="black",
            linestyle="--",
            linewidth=1.2,
            label=f"threshold {threshold:.3f}",
        )
    axes.yaxis.set_major_formatter(FuncFormatter(percent))
    dress(
        axes,
        f"{title}: similarity to the identity found first",
        "cosine similarity",
        "share of the known / of the strangers",
    )
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    save(figure, path)
