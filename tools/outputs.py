"""The output options that tools share: JSON, plots, an HTML report, rows of results."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import command
from tfface.errors import say


def add(parser: argparse.ArgumentParser, *, pictures: str, json_marks: Sequence[bytes]) -> None:
    """Adds the options to a tool's parser.

    Args:
        pictures: what --plots draws.
        json_marks: by which a file of --json is known to be one of the tool's, as
            `check_replaceable` takes them.
    """
    parser.set_defaults(json_marks=json_marks)
    add_overwrite(parser, "--json and --report")
    parser.add_argument(
        "--json", type=command.path, metavar="F", help="write all figures to this file"
    )
    parser.add_argument("--plots", type=command.path, metavar="D", help=f"draw {pictures} here")
    parser.add_argument(
        "--report",
        type=command.path,
        metavar="F",
        help="write figures and pictures as one page, F.html",
    )
    add_results(parser, "add the figures that tables show to this file")
    parser.add_argument("--label", help="what tables call the model (default: MODEL)")


def check(options: argparse.Namespace) -> None:
    """Finds out before long work whether all of it can be written.

    Raises InputError: something can't.
    """
    from tfface.files import check_replaceable, check_writable
    from tfface.reporting import page

    if options.plots:
        check_writable(options.plots / "picture.png")
    for output, marks in ((options.json, options.json_marks), (options.report, page.MARKS)):
        if output:
            check_replaceable(output, marks, overwrite=options.overwrite)
    check_results(options)


def add_overwrite(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds --overwrite to a tool's parser.

    Args:
        what: the options that name files to write.
    """
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help=f"replace files at {what}, whoever wrote them; without it only this tool's own",
    )


def write(
    options: argparse.Namespace,
    figures: object,
    *,
    draw: Callable[[Path], object],
    report: Callable[..., None],
    rows: Sequence[Mapping[str, object]],
) -> None:
    """Writes what the options ask for, and prints where it went.

    Args:
        figures: for --json.
        draw: draws the pictures into a folder and returns what the page has to know of them.
        report: writes the page to a path, with `pictures` (as `draw` returns them) and
            `environment`.
        rows: for --results.
    Raises InputError: something can't be written.
    """
    from tfface.files import write_json
    from tfface.training.run_folder import environment

    if options.json:
        write_json(options.json, figures)
        say(f"figures: {options.json}")
    if options.plots or options.report:
        with command.folder_or_temporary(options.plots) as folder:
            pictures = draw(folder)
            if options.report:
                report(options.report, pictures=pictures, environment=environment())
    if options.plots:
        say(f"plots: {options.plots}")
    if options.report:
        say(f"report: {options.report}")
    append_results(options, rows)


def add_results(parser: argparse.ArgumentParser, says: str) -> None:
    """Adds --results to a tool's parser.

    Args:
        says: what it does.
    """
    parser.add_argument(
        "--results",
        type=command.path,
        metavar="CSV",
        help=f"{says}, as plain numbers, with commit, date, machine, versions and command",
    )


def check_results(options: argparse.Namespace) -> None:
    """Finds out before long work whether rows can be added to --results, and what measures them.

    Raises InputError: they can't.
    """
    from tfface.reporting.provenance import provenance
    from tfface.reporting.results import check_appendable

    if options.results:
        check_appendable(options.results)
        options.provenance = provenance()


def append_results(options: argparse.Namespace, rows: Sequence[Mapping[str, object]]) -> None:
    """Adds rows to --results, if it is given, and prints where they went."""
    from tfface.reporting.results import append_rows

    if options.results:
        append_rows(options.results, rows, options.provenance)
        say(f"results: {options.results}")
