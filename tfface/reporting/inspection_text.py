"""What is in a dataset, in words: the lines of a terminal."""

from collections.abc import Iterator, Mapping
from itertools import islice

from tfface.reporting.format import align

_MOST_SIZES, _MOST_VALUES, _MOST_PAIRS = 6, 12, 10


def as_text(figures: Mapping) -> str:
    """Returns the lines on a dataset's content.

    Args:
        figures: as `report.json` holds them.
    """
    counts, sizes = figures["images_per_identity"], figures["bytes_per_image"]
    lines = [
        f"{figures['num_images']:,} images of {figures['num_identities']:,} identities, "
        f"{_megabytes(sizes['sum'])} of images in {figures['num_files']:,} files",
        align(
            ["source", "images", "identities"],
            [
                [source["name"], f"{source['num_images']:,}", f"{source['num_identities']:,}"]
                for source in figures["sources"]
            ],
        ),
        f"images per identity: {_spread(counts)}",
        "identities with fewer than: "
        + ", ".join(
            f"{few} images {number:,} ({number / max(1, figures['num_identities']):.0%})"
            for few, number in counts["fewer_than"].items()
        ),
        f"bytes per image: {_spread(sizes)}",
        f"image sizes (height x width): {_sizes(figures)}",
        "formats: " + ", ".join(f"{name} {n:,}" for name, n in figures["formats"].items()),
    ]
    for name, values in figures["attributes"].items():
        lines.append(f"attribute {name}: {_values(values)}")
    return "\n".join([*lines, *_duplicates(figures["duplicates"])])


def _duplicates(figures: Mapping) -> Iterator[str]:
    within, across = figures["within_identity"], figures["across_identities"]
    yield (
        f"equal images of one identity: {within['pairs']:,} copies"
        + (f", of {within['identities']:,} identities" if within["pairs"] else "")
    )
    yield f"equal images of different identities: {across['pairs']:,} pairs" + (
        f", of {across['identities']:,} identities" if across["pairs"] else ""
    )
    shown = across["examples"][:_MOST_PAIRS]
    for pair in shown:
        yield (
            f"  {pair['filename']} ({pair['name']} of {pair['source']}) = "
            f"{pair['other_filename']} ({pair['other_name']} of {pair['other_source']})"
        )
    if across["pairs"] > len(shown):
        yield f"  and {across['pairs'] - len(shown):,} more pairs"


def _spread(figures: Mapping) -> str:
    return (
        f"{figures['min']:,} to {figures['max']:,}, median {figures['median']:,.0f}, "
        f"mean {figures['mean']:,.1f}"
    )


def _sizes(figures: Mapping) -> str:
    shown = figures["image_sizes"][:_MOST_SIZES]
    text = ", ".join(f"{size['height']} x {size['width']} {size['num_images']:,}" for size in shown)
    more = figures["num_image_sizes"] - len(shown)
    return text + (f" and {more:,} other sizes" if more > 0 else "")


def _values(values: Mapping[str, int] | None) -> str:
    if values is None:
        return "more than 1,000 different values"
    text = ", ".join(
        f"{value or '(none)'} {images:,}" for value, images in islice(values.items(), _MOST_VALUES)
    )
    more = len(values) - _MOST_VALUES
    return text + (f" and {more:,} other values" if more > 0 else "")


def _megabytes(num_bytes: int) -> str:
    if num_bytes < 1e9:
        return f"{num_bytes / 1e6:,.1f} MB"
    return f"{num_bytes / 1e9:,.1f} GB"
