"""Pictures of what is in a dataset (PNG, drawn without a display)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tfface.reporting.plots.style import LINES, dress, save, whole


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
    rising = [smallest]
    while rising[-1] <= largest:
        step = rising[-1] // 5 if wide else (largest - smallest) // 40
        rising.append(rising[-1] + max(1, step))
    edges = np.array(rising)
    drawn = []
    for number, (name, of_source) in enumerate(shown.items()):
        colour, style = LINES[number % len(LINES)]
        heights = np.histogram(of_source, edges)[0] / np.diff(edges)
        drawn.append(heights[heights > 0])
        axes.hist(
            edges[:-1],
            weights=heights,
            # The bar of n stands about n.
            bins=(edges - 0.5).tolist(),
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
        axes.xaxis.set_major_formatter(FuncFormatter(whole))
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
    dress(axes, title or "images per identity", "images of an identity", y_label)
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    save(figure, path)
