"""The content of a dataset: text for a terminal, and a plot of images per identity."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tfface.reporting.format import Table
from tfface.reporting.plots import LINES, integer_tick, save_figure, style_axes

_MAX_SIZES, _MAX_VALUES, _MAX_PAIRS = 6, 12, 10


def to_text(statistics: Mapping) -> str:
    """Returns the content of a dataset as text.

    Args:
        statistics: as in `report.json`.
    """
    counts, sizes = statistics["images_per_identity"], statistics["bytes_per_image"]
    sources = [
        [source["name"], f"{source['num_images']:,}", f"{source['num_identities']:,}"]
        for source in statistics["sources"]
    ]
    fewer = ", ".join(
        f"{few} images {number:,} ({number / max(1, statistics['num_identities']):.0%})"
        for few, number in counts["fewer_than"].items()
    )
    formats = ", ".join(f"{name} {number:,}" for name, number in statistics["formats"].items())
    lines = [
        f"{statistics['num_images']:,} images of {statistics['num_identities']:,} identities, "
        f"{_megabytes(sizes['sum'])} of images in {statistics['num_files']:,} files",
        Table(["source", "images", "identities"], sources).to_text(),
        f"images per identity: {_distribution(counts)}",
        f"identities with fewer than: {fewer}",
        f"bytes per image: {_distribution(sizes)}",
        f"image sizes (height x width): {_sizes(statistics)}",
        f"formats: {formats}",
    ]
    for name, values in statistics["attributes"].items():
        lines.append(f"attribute {name}: {_values(values)}")
    return "\n".join([*lines, *_duplicates(statistics["duplicates"])])


def _duplicates(duplicates: Mapping) -> Iterator[str]:
    within, across = duplicates["within_identity"], duplicates["across_identities"]
    for where, number, kind, identities in (
        ("within an identity", within["pairs"], "copies", within["identities"]),
        ("across identities", across["pairs"], "pairs", across["identities"]),
    ):
        affected = f" ({identities:,} identities)" if number else ""
        yield f"duplicate images {where}: {number:,} {kind}{affected}"
    shown = across["examples"][:_MAX_PAIRS]
    for pair in shown:
        yield (
            f"  {pair['filename']} ({pair['name']} of {pair['source']}) = "
            f"{pair['other_filename']} ({pair['other_name']} of {pair['other_source']})"
        )
    if across["pairs"] > len(shown):
        yield f"  and {across['pairs'] - len(shown):,} more pairs"


def _distribution(values: Mapping) -> str:
    return (
        f"{values['min']:,} to {values['max']:,}, median {values['median']:,.0f}, "
        f"mean {values['mean']:,.1f}"
    )


def _sizes(statistics: Mapping) -> str:
    shown = statistics["image_sizes"][:_MAX_SIZES]
    text = ", ".join(f"{size['height']} x {size['width']} {size['num_images']:,}" for size in shown)
    more = statistics["num_image_sizes"] - len(shown)
    return text + (f" and {more:,} other sizes" if more > 0 else "")


def _values(values: Mapping[str, int] | None) -> str:
    if values is None:
        return "more than 1,000 different values"
    text = ", ".join(
        f"{value or '(none)'} {images:,}" for value, images in islice(values.items(), _MAX_VALUES)
    )
    more = len(values) - _MAX_VALUES
    return text + (f" and {more:,} other values" if more > 0 else "")


def _megabytes(num_bytes: int) -> str:
    if num_bytes < 1e9:
        return f"{num_bytes / 1e6:,.1f} MB"
    return f"{num_bytes / 1e9:,.1f} GB"


def plot_images_per_identity(
    path: Path, counts: Mapping[str, np.ndarray], *, title: str = ""
) -> None:
    """Plots how many identities have how many images, with an outline for each source.

    Large numbers of images share a bar; its height is the mean over them, so that bars of different
    widths are comparable. An axis is logarithmic if its values span more than a factor of 30.

    Args:
        path: the PNG.
        counts: source -> int [identities], images of each identity; at least one is > 0.
        title: the name of the dataset.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    # A logarithmic axis has no 0, and identities without images are not used in training.
    shown = {name: of_source[of_source > 0] for name, of_source in counts.items()}
    shown = {name: of_source for name, of_source in shown.items() if len(of_source)}
    everything = np.concatenate(list(shown.values()))
    smallest, largest = int(everything.min()), int(everything.max())
    wide = largest > 30 * smallest
    bounds = [smallest]
    while bounds[-1] <= largest:
        step = bounds[-1] // 5 if wide else (largest - smallest) // 40
        bounds.append(bounds[-1] + max(1, step))
    edges = np.array(bounds)
    plotted = []
    for number, (name, of_source) in enumerate(shown.items()):
        color, style = LINES[number % len(LINES)]
        heights = np.histogram(of_source, edges)[0] / np.diff(edges)
        plotted.append(heights[heights > 0])
        axes.hist(
            edges[:-1],
            weights=heights,
            # The bar of n is centered at n.
            bins=(edges - 0.5).tolist(),
            histtype="stepfilled" if len(shown) == 1 else "step",
            facecolor=f"{color}59",
            edgecolor=color,
            linestyle=style,
            linewidth=1.6,
            label=f"{name} ({len(of_source):,} identities)",
        )
    median = float(np.median(everything))
    axes.axvline(median, color="black", linestyle="--", linewidth=1.2, label=f"median: {median:g}")
    if wide:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(integer_tick))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    lowest, highest = (float(end(np.concatenate(plotted))) for end in (np.min, np.max))
    if highest > 30 * lowest:
        axes.set_yscale("log")
        axes.set_ylim(bottom=lowest / 1.5)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    y_label = "identities" + (" (mean over a bar)" if edges[-1] - edges[-2] > 1 else "")
    style_axes(axes, title or "images per identity", "images of an identity", y_label)
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    save_figure(figure, path)
