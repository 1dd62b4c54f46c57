"""What benchmarks leave where they are told to: rows as JSON, and pictures."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import command
import outputs


def add(parser: argparse.ArgumentParser) -> None:
    """Adds --json and --plots to a command's parser."""
    parser.add_argument(
        "--json", type=command.path, metavar="F", help="write the rows to this file"
    )
    parser.add_argument("--plots", type=command.path, metavar="D", help="draw them here")
    outputs.add_overwrite(parser, "--json")


def check(options: argparse.Namespace) -> None:
    """Finds out before long work whether all of it can be written.

    Raises InputError: something can't.
    """
    from tfface.files import check_replaceable, check_writable

    if options.plots:
        check_writable(options.plots / "picture.png")
    if options.json:
        check_replaceable(options.json, (b"[\n  {\n",), overwrite=options.overwrite)


def write(
    options: argparse.Namespace,
    rows: Sequence[dict],
    picture: str,
    draw: Callable[[Path, Sequence[dict]], None],
) -> None:
    """Writes what the options ask for, and prints where it went.

    Args:
        rows: of any JSON values.
        picture: the file's name in --plots.
        draw: draws the rows into a file.
    Raises InputError: something can't be written.
    """
    from tfface.files import write_json

    if options.json:
        write_json(options.json, rows)
        print(f"figures: {options.json}")
    if options.plots:
        draw(options.plots / picture, rows)
        print(f"plots: {options.plots / picture}")
