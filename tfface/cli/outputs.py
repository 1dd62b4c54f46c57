"""The output options that tools share: JSON, plots, an HTML report, rows of results."""

import argparse
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tfface.cli import command
from tfface.errors import InputError, say


def add(
    parser: argparse.ArgumentParser,
    *,
    pictures: str,
    picture_names: str,
    json_lines: Sequence[str],
    report_kind: str,
) -> None:
    """Adds the options to a tool's parser.

    Args:
        pictures: what --plots draws.
        picture_names: of the files of --plots, without `.png`: a regular expression.
        json_lines: how the files of --json begin, as `json_mark` takes it.
        report_kind: of the page of --report, as `report_mark` takes it.
    """
    parser.set_defaults(picture_names=picture_names, json_lines=json_lines, report_kind=report_kind)
    add_overwrite(parser, "--json, --plots and --report")
    parser.add_argument(
        "--json", type=command.path, metavar="FILE", help="write all figures to this file"
    )
    parser.add_argument(
        "--plots", type=command.path, metavar="DIR", help=f"plot {pictures} into this folder"
    )
    parser.add_argument(
        "--report",
        type=command.path,
        metavar="FILE",
        help="write figures and pictures as one page, FILE.html",
    )
    add_results(parser, "add the figures that tables show to this file")
    parser.add_argument(
        "--label", type=command.label, help="what tables call the model (default: MODEL)"
    )


def check(options: argparse.Namespace, sources: Iterable[Path] = ()) -> None:
    """Checks before long work that all outputs can be written.

    Args:
        sources: files and folders that are read, in which no pictures may be drawn.
    Raises InputError: something can't, or two outputs are one.
    """
    from tfface.output_paths import check_distinct, check_output, check_replaceable, json_mark
    from tfface.reporting.html import report_mark

    check_distinct(
        {"--json": options.json, "--report": options.report, "--results": options.results},
        {"--plots": options.plots},
    )
    if options.plots:
        check_output(sources, options.plots)
        check_pictures(options, options.picture_names)
    marks = (
        (options.json, json_mark(*options.json_lines)),
        (options.report, report_mark(options.report_kind)),
    )
    for output, mark in marks:
        if output:
            check_replaceable(output, mark, overwrite=options.overwrite)
    check_results(options)


def check_pictures(options: argparse.Namespace, names: str) -> None:
    """Finds out whether pictures can be drawn into the folder of --plots.

    Args:
        names: of their files, without `.png`: a regular expression.
    Raises InputError: they can't, or would replace a picture of somebody else.
    """
    from tfface.files import check_writable
    from tfface.output_paths import check_replaceable
    from tfface.reporting.contact_sheet import PICTURE_MARK

    for option in ("json", "report", "results"):
        path = getattr(options, option, None)
        if (
            path is not None
            and os.path.realpath(path.parent) == os.path.realpath(options.plots)
            and re.fullmatch(rf"({names})\.png", path.name, re.DOTALL)
        ):
            raise InputError(f"--{option} {path}: is a picture of --plots; give another path")
    check_writable(options.plots / "picture.png")
    for path in sorted(options.plots.glob("*.png")):
        if re.fullmatch(names, path.stem, re.DOTALL):
            check_replaceable(path, PICTURE_MARK, overwrite=options.overwrite)


def add_overwrite(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds --overwrite to a tool's parser.

    Args:
        what: the options that name files to write.
    """
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help=f"replace existing files at {what} (default: only those that this command wrote)",
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
        report: writes the page to a path, with `plots` (as `draw` returns them) and
            `environment`.
        rows: for --results.
    Raises InputError: something can't be written.
    """
    from tfface.files import write_json
    from tfface.training.run_folder import environment

    if options.json:
        write_json(options.json, figures)
        say(f"metrics: {options.json}")
    if options.plots or options.report:
        with command.folder_or_temporary(options.plots) as folder:
            plots = draw(folder)
            if options.report:
                report(options.report, plots=plots, environment=environment())
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
