"""What every evaluation leaves where it is told to: JSON, pictures, a page, rows of results."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import command


def add(parser: argparse.ArgumentParser, *, pictures: str) -> None:
    """Adds the options to a tool's parser.

    Args:
        pictures: what --plots draws.
    """
    parser.add_argument("--json", type=Path, metavar="F", help="write all figures to this file")
    parser.add_argument("--plots", type=Path, metavar="D", help=f"draw {pictures} here")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="F",
        help="write figures and pictures as one page, F.html",
    )
    parser.add_argument(
        "--results", type=Path, metavar="CSV", help="add the figures that tables show to this file"
    )
    parser.add_argument("--label", help="what tables call the model (default: MODEL)")


def check(options: argparse.Namespace) -> None:
    """Finds out before long work whether all of it can be written.

    Raises InputError: something can't.
    """
    from tfface.files import check_writable

    picture = options.plots and options.plots / "picture.png"
    for output in (options.json, options.results, options.report, picture):
        if output:
            check_writable(output)


def write(
    options: argparse.Namespace,
    figures: object,
    *,
    draw: Callable[[Path], object],
    report: Callable[..., None],
    rows: Iterable[Mapping[str, str]],
) -> None:
    """Writes what the options ask for, and prints where it went.

    Args:
        figures: for --json.
        draw: draws the pictures into a folder and returns what the page has to know of them.
        report: writes the page to a path, with `pictures` (as `draw` returns them) and
            `environment`.
        rows: for --results, to which the circumstances are added.
    Raises InputError: something can't be written.
    """
    from tfface.files import write_json
    from tfface.report.results import append_row
    from tfface.training.run_folder import environment

    if options.json:
        write_json(options.json, figures)
        print(f"figures: {options.json}")
    if options.plots or options.report:
        with command.folder_or_temporary(options.plots) as folder:
            pictures = draw(folder)
            if options.report:
                report(options.report, pictures=pictures, environment=environment())
    if options.plots:
        print(f"plots: {options.plots}")
    if options.report:
        print(f"report: {options.report}")
    if options.results:
        circumstances = {key: environment()[key] for key in ("machine", "tensorflow", "keras")}
        for row in rows:
            append_row(options.results, {**row, **circumstances})
        print(f"results: {options.results}")
