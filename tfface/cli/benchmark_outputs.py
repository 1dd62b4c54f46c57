"""The output options of benchmarks: rows as JSON, and a plot of them."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tfface.cli import command, outputs

# First lines of the files that tfface benchmark writes, for `tfface.output_paths.json_mark`.
JSON_LINES = ("[", "  {", '    "name": ', '    "images_per_second": ')


def add(parser: argparse.ArgumentParser) -> None:
    """Adds --json and --plots to a command's parser."""
    parser.add_argument(
        "--json", type=command.path, metavar="FILE", help="write the rows to this file"
    )
    parser.add_argument(
        "--plots", type=command.path, metavar="DIR", help="plot the rows into this folder"
    )
    outputs.add_overwrite(parser, "--json and --plots")


def check(
    options: argparse.Namespace,
    picture: str,
    json_lines: Sequence[str] = JSON_LINES,
    sources: Iterable[Path] = (),
) -> None:
    """Checks before a long measurement whether all outputs can be written.

    Args:
        options: The parsed options.
        picture: Name of the plot in --plots, without `.png`.
        json_lines: First lines of the file of --json, as `json_mark` takes them.
        sources: Files and folders of images, in which no plots may be drawn.

    Raises:
        InputError: An output can't be written.
    """
    from tfface.output_paths import check_distinct, check_output, check_replaceable, json_mark

    check_distinct(
        {"--json": options.json, "--results": getattr(options, "results", None)},
        {"--plots": options.plots},
    )
    if options.plots:
        check_output(sources, options.plots)
        outputs.check_pictures(options, picture)
    if options.json:
        check_replaceable(options.json, json_mark(*json_lines), overwrite=options.overwrite)


def write(
    options: argparse.Namespace,
    rows: Sequence[dict],
    picture: str,
    draw: Callable[[Path, Sequence[dict]], None],
) -> None:
    """Writes the outputs that the options ask for, and prints their paths.

    Args:
        options: The parsed options.
        rows: JSON objects.
        picture: Name of the plot in --plots, without `.png`.
        draw: Plots rows into a file.

    Raises:
        InputError: An output can't be written.
    """
    from tfface.files import write_json

    if options.json:
        write_json(options.json, rows)
        print(f"metrics: {options.json}")
    if options.plots:
        path = options.plots / f"{picture}.png"
        draw(path, rows)
        print(f"plots: {path}")
