"""Plots of verification: ROC curves, similarity distributions, and the hardest pairs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tfface.data.pairs import PairSet
from tfface.images.decoding import decode_picture
from tfface.metrics.verification import VerificationResult, hardest_pairs
from tfface.reporting.contact_sheet import draw_contact_sheet, side_by_side
from tfface.reporting.html import Plot
from tfface.reporting.plots import (
    BLUE,
    VERMILION,
    Histogram,
    NotebookFigure,
    draw_log_curves,
    draw_similarity_histograms,
    plot_log_curves,
    plot_similarity_histograms,
)

_ROC: dict[str, Any] = {
    "title": "ROC",
    "x_label": "false accept rate (FAR)",
    "y_label": "true accept rate (TAR)",
}
# Pairs of each kind that are shown.
_NUM_HARDEST = 12
# (Height, width) in pixels.
_CELL = (112, 228)


def plot_verification(
    results: Mapping[str, VerificationResult], pair_sets: Sequence[PairSet], folder: Path
) -> list[Plot]:
    """Plots the ROC curves of all sets, and the similarities and hardest pairs of each.

    Args:
        results: set -> metrics; template sets have an ROC only.
        pair_sets: the pair sets among them.
        folder: for `roc.png`, and for each pair set `similarities_SET.png`,
            `false_accepts_SET.png` and `false_rejects_SET.png`.

    Returns:
        The plots, in the order of a report.
    """
    path = folder / "roc.png"
    plot_roc(path, {name: (result.roc.far, result.roc.tar) for name, result in results.items()})
    plots = [Plot(path, "ROC: true accept rate over false accept rate.")]
    for pair_set in pair_sets:
        plots.append(_plot_similarities(pair_set, results[pair_set.name], folder))
        plots += _plot_hardest(pair_set, results[pair_set.name], folder)
    return plots


def verification_figure(result: VerificationResult, name: str) -> Figure:
    """Returns a figure of the ROC curve and the similarities of one set.

    Args:
        result: the metrics.
        name: of the set.
    """
    figure = NotebookFigure(figsize=(12.8, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_log_curves(left, {name: (result.roc.far, result.roc.tar)}, **_ROC)
    draw_similarity_histograms(
        right,
        _histograms(result.similarity[result.is_genuine], result.similarity[~result.is_genuine]),
        threshold=result.threshold.cosine if result.threshold else None,
        title="similarity of the pairs",
        y_label="share of pairs",
    )
    right.legend(frameon=False)
    return figure


def plot_roc(path: Path, curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Plots TAR over FAR, FAR on a log axis.

    Args:
        path: the PNG.
        curves: set -> (FAR, TAR), both ascending from 0 to 1.
    """
    plot_log_curves(path, curves, **_ROC)


def plot_similarities(
    path: Path, *, genuine: np.ndarray, impostor: np.ndarray, threshold: float, title: str
) -> None:
    """Plots the similarities of genuine and impostor pairs, and the threshold.

    Args:
        path: the PNG.
        genuine, impostor: cosine similarities, at least one of each.
        threshold: a pair is accepted if its cosine is >= this.
        title: the name of the pair set.
    """
    plot_similarity_histograms(
        path,
        _histograms(genuine, impostor),
        threshold=threshold,
        title=f"{title}: similarity of the pairs",
        y_label="share of pairs",
    )


def _histograms(genuine: np.ndarray, impostor: np.ndarray) -> list[Histogram]:
    return [
        Histogram(values, len(values), f"{kind} ({len(values):,} pairs)", color, hatch)
        for values, kind, color, hatch in (
            (impostor, "impostor", VERMILION, "////"),
            (genuine, "genuine", BLUE, None),
        )
    ]


def _plot_similarities(pair_set: PairSet, result: VerificationResult, folder: Path) -> Plot:
    path = folder / f"similarities_{pair_set.name}.png"
    plot_similarities(
        path,
        genuine=result.similarity[result.is_genuine],
        impostor=result.similarity[~result.is_genuine],
        threshold=result.threshold.cosine,
        title=pair_set.name,
    )
    caption = (
        "Similarities of genuine and impostor pairs. Impostor pairs above the threshold are false "
        "accepts, genuine pairs below it false rejects."
    )
    return Plot(path, caption, section=pair_set.name)


def _plot_hardest(pair_set: PairSet, result: VerificationResult, folder: Path) -> list[Plot]:
    accepts = result.similarity >= result.threshold.cosine
    impostors, genuine = hardest_pairs(result, _NUM_HARDEST)
    plots = []
    for kind, what, pairs, wrong in (
        ("false accepts", "Most similar impostor pairs", impostors, accepts),
        ("false rejects", "Least similar genuine pairs", genuine, ~accepts),
    ):
        of_kind = result.is_genuine == result.is_genuine[pairs[0]]
        path = folder / f"{kind.replace(' ', '_')}_{pair_set.name}.png"
        caption = (
            f"{what}: {np.count_nonzero(wrong & of_kind):,} of {np.count_nonzero(of_kind):,} are "
            f"{kind} at cosine {result.threshold.cosine:.3f}."
        )
        thumbnails = (
            [_pair_image(pair_set, pair) for pair in pairs],
            [_pair_caption(pair_set, pair, result.similarity[pair], wrong[pair]) for pair in pairs],
        )
        title = f"{pair_set.name}: {caption}"
        draw_contact_sheet(path, *thumbnails, title=title, columns=3, cell=_CELL)
        plots.append(Plot(path, caption, thumbnails, pair_set.name))
    return plots


def _pair_image(pair_set: PairSet, pair: int) -> np.ndarray:
    images = (pair_set.images[image[pair]] for image in (pair_set.first, pair_set.second))
    return side_by_side([decode_picture(image) for image in images])


def _pair_caption(pair_set: PairSet, pair: int, similarity: float, is_wrong: bool) -> str:
    names = (pair_set.image_names[image[pair]] for image in (pair_set.first, pair_set.second))
    # Folder and file name identify an image.
    short = ["/".join(name.split("/")[-2:]) for name in names]
    return "\n".join([f"cosine {similarity:.3f}{'' if is_wrong else ' (correct)'}", *short])
