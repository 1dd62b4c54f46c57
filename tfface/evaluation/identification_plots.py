"""Plots of identification: curves, similarity distributions, and errors.

cmc.png                 cumulative match characteristic
top_similarities.png    similarity of queries to the most similar identity
open_set.png            TPIR over FPIR (with non-mated queries)
misidentified.png       mated queries with a wrong most similar identity (if there are any)
non_mated.png           the non-mated queries with the highest similarities (if there are any)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tfface.evaluation.identification import Identification
from tfface.images.decoding import decode_picture
from tfface.metrics.identification import UNKNOWN
from tfface.reporting.contact_sheet import draw_contact_sheet, framed, side_by_side
from tfface.reporting.html import Plot
from tfface.reporting.plots import (
    BLUE,
    GRAY,
    GREEN,
    LINES,
    VERMILION,
    Histogram,
    NotebookFigure,
    draw_log_curves,
    draw_similarity_histograms,
    percent_tick,
    plot_log_curves,
    plot_similarity_histograms,
    save_figure,
    style_axes,
)

# Of a contact sheet.
_MAX_ERRORS = 24
_WIDTH = 720
_SHARE = "share of mated / non-mated queries"


def identification_figure(found: Identification) -> Figure:
    """Returns a figure of the CMC, the similarities and, with non-mated queries, the open set."""
    result, name = found.result, found.gallery.name
    is_first = result.rank == 1
    num_panels = 3 if result.num_non_mated else 2
    figure = NotebookFigure(figsize=(6.4 * num_panels, 4.6), layout="constrained")
    panels = figure.subplots(1, num_panels)
    _draw_cmc(panels[0], {name: result.cmc})
    draw_similarity_histograms(
        panels[1],
        _histograms(
            result.top_similarity[is_first],
            result.top_similarity[result.is_mated & ~is_first],
            result.top_similarity[~result.is_mated],
        ),
        threshold=result.threshold.cosine if result.threshold else None,
        title="similarity to the most similar identity",
        y_label=_SHARE,
    )
    panels[1].legend(frameon=False)
    if result.num_non_mated:
        curves = {name: (result.fpir, result.tpir)}
        draw_log_curves(panels[2], **_open_set(curves, result.num_non_mated))
    return figure


def plot_identification(found: Identification, folder: Path) -> list[Plot]:
    """Writes the files listed in the docstring of this module.

    Returns:
        The plots, in the order of a report.

    Raises:
        InputError: a plot can't be written.
    """
    result, name = found.result, found.gallery.name
    for file in ("open_set.png", "misidentified.png", "non_mated.png"):
        # A file of an earlier evaluation would be mistaken for one of this evaluation.
        (folder / file).unlink(missing_ok=True)
    is_first = result.rank == 1
    plot_cmc(folder / "cmc.png", {name: result.cmc})
    plot_top_similarities(
        folder / "top_similarities.png",
        correct=result.top_similarity[is_first],
        wrong=result.top_similarity[result.is_mated & ~is_first],
        non_mated=result.top_similarity[~result.is_mated],
        threshold=result.threshold.cosine if result.threshold else None,
        title=name,
    )
    plots = [
        Plot(
            folder / "cmc.png",
            "CMC: mated queries whose correct identity is among the n most similar ones.",
        ),
        Plot(
            folder / "top_similarities.png",
            "Similarity of queries to the most similar identity.",
        ),
    ]
    if result.num_non_mated:
        path = folder / "open_set.png"
        curves = {name: (result.fpir, result.tpir)}
        plot_open_set(path, curves, num_non_mated=result.num_non_mated)
        caption = (
            "Open set: mated queries with the correct identity over accepted non-mated queries."
        )
        plots.append(Plot(path, caption))
    misidentified = result.is_mated & ~is_first & (found.top != UNKNOWN)
    plots += _draw_errors(
        folder / "misidentified.png",
        found,
        np.flatnonzero(misidentified),
        "mated queries with a wrong most similar identity; the most similar of each pair of "
        "identities: query (blue), wrong identity (red), correct one (green).",
    )
    plots += _draw_errors(
        folder / "non_mated.png",
        found,
        np.flatnonzero(~result.is_mated & (found.top != UNKNOWN)),
        "non-mated queries (blue) and the most similar identity of the gallery (red); the most "
        "similar of each pair of identities.",
    )
    return plots


def plot_cmc(path: Path, curves: Mapping[str, Sequence[float]]) -> None:
    """Plots the share of mated queries whose correct identity is among the first n, over n.

    Args:
        path: the PNG.
        curves: gallery -> CMC(1), CMC(2), ..; at least one value.
    """
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    _draw_cmc(figure.add_subplot(), curves)
    save_figure(figure, path)


def _draw_cmc(axes: Axes, curves: Mapping[str, Sequence[float]]) -> None:
    lowest, last = 1.0, 1
    for number, (name, cmc) in enumerate(curves.items()):
        color, style = LINES[number % len(LINES)]
        lowest, last = min(lowest, cmc[0]), max(last, len(cmc))
        axes.plot(
            np.arange(1, len(cmc) + 1),
            cmc,
            color=color,
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
    axes.yaxis.set_major_formatter(FuncFormatter(percent_tick))
    style_axes(axes, "Cumulative match characteristic (CMC)", "rank", "identification rate")
    axes.legend(frameon=False, loc="lower right")


def plot_open_set(
    path: Path, curves: Mapping[str, tuple[np.ndarray, np.ndarray]], *, num_non_mated: int
) -> None:
    """Plots TPIR over FPIR, FPIR on a log axis.

    Args:
        path: the PNG.
        curves: gallery -> (FPIR, TPIR), both ascending from 0.
        num_non_mated: non-mated queries, at least one.
    """
    plot_log_curves(path, **_open_set(curves, num_non_mated))


def _open_set(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], num_non_mated: int
) -> dict[str, Any]:
    return {
        "curves": {
            f"{name} ({num_non_mated:,} non-mated queries)": curve for name, curve in curves.items()
        },
        "title": "Open set",
        "x_label": "accepted non-mated queries (FPIR)",
        "y_label": "mated queries with the correct identity (TPIR)",
        "left": min(0.5, 0.8 / num_non_mated),
    }


def plot_top_similarities(
    path: Path,
    *,
    correct: np.ndarray,
    wrong: np.ndarray,
    non_mated: np.ndarray,
    threshold: float | None,
    title: str,
) -> None:
    """Plots the similarity of queries to the most similar identity, and the threshold.

    Args:
        path: the PNG.
        correct, wrong: cosines of mated queries whose first identity is correct, or wrong.
        non_mated: cosines of non-mated queries. Together there is at least one query.
        threshold: a query is accepted if its cosine is >= this; None without a recommendation.
        title: the name of the gallery.
    """
    plot_similarity_histograms(
        path,
        _histograms(correct, wrong, non_mated),
        threshold=threshold,
        title=f"{title}: similarity to the most similar identity",
        y_label=_SHARE,
    )


def _histograms(correct: np.ndarray, wrong: np.ndarray, non_mated: np.ndarray) -> list[Histogram]:
    num_mated = len(correct) + len(wrong)
    return [
        Histogram(values, total, f"{kind} ({len(values):,})", color, hatch)
        for values, total, kind, color, hatch in (
            (non_mated, len(non_mated), "non-mated", VERMILION, "////"),
            (correct, num_mated, "mated, correct identity first", BLUE, None),
            (wrong, num_mated, "mated, wrong identity first", GRAY, "...."),
        )
    ]


def _draw_errors(
    path: Path, found: Identification, queries: np.ndarray, caption: str
) -> list[Plot]:
    """Draws a contact sheet of errors; nothing without errors."""
    if not len(queries):
        return []
    shown = _most_similar(found, queries)
    caption = f"{len(shown):,} of {len(queries):,} {caption}"
    images, captions = zip(*(_error(found, query) for query in shown.tolist()), strict=True)
    height, width, _ = images[0].shape
    draw_contact_sheet(
        path,
        images,
        captions,
        title=f"{found.gallery.name}: {caption}",
        columns=_WIDTH // width,
        cell=(height, width),
    )
    return [Plot(path, caption, (images, captions))]


def _most_similar(found: Identification, queries: np.ndarray) -> np.ndarray:
    """Returns the queries with the highest similarities, one for each pair of identities."""
    queries = queries[np.argsort(-found.top_similarity[queries], kind="stable")]
    identities = np.stack([found.queries.labels[queries], found.top[queries]], axis=1)
    _, first = np.unique(identities, axis=0, return_index=True)
    return queries[np.sort(first)[:_MAX_ERRORS]]


def _error(found: Identification, query: int) -> tuple[np.ndarray, str]:
    """Returns the query, the identity found and the correct one side by side, and a caption."""
    queries, gallery = found.queries, found.gallery
    image, _ = _nearest_image(found, query, found.top[query])
    images = [
        framed(decode_picture(queries.images[query]), BLUE),
        framed(decode_picture(gallery.images[image]), VERMILION),
    ]
    lines = [
        f"{queries.names[queries.labels[query]]}: {Path(queries.image_names[query]).name}",
        f"found: {gallery.names[found.top[query]]}, {found.top_similarity[query]:.3f}",
    ]
    if found.true_labels[query] != UNKNOWN:
        image, similarity = _nearest_image(found, query, found.true_labels[query])
        images.append(framed(decode_picture(gallery.images[image]), GREEN))
        rank = found.result.rank[query]
        lines.append(f"correct: {similarity:.3f}, {f'rank {rank}' if rank else 'not found'}")
    return side_by_side(images), "\n".join(lines)


def _nearest_image(found: Identification, query: int, label: int) -> tuple[int, float]:
    """Returns the image of an identity that is most similar to a query, and the similarity."""
    images = np.flatnonzero(found.gallery.labels == label)
    similarity = found.gallery_embeddings[images] @ found.query_embeddings[query]
    best = int(similarity.argmax())
    return int(images[best]), float(similarity[best])
