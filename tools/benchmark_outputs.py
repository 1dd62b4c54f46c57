"""What benchmarks leave where they are told to: rows as JSON, and pictures."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import command
import outputs

# How the rows of tools/benchmark.py begin; of `tfface.files.json_mark`.
JSON_LINES = ("[", "  {", '    "name": ', '    "images_per_second": ')


def add(parser: argparse.ArgumentParser) -> None:
    """Adds --json and --plots to a command's parser."""
    parser.add_argument(
        "--json", type=command.path, metavar="FILE", help="write the rows to this file"
    )
    parser.add_argument("--plots", type=command.path, metavar="D", help="draw them here")
    outputs.add_overwrite(parser, "--json and --plots")


def check(
    options: argparse.Namespace, picture: str, json_lines: Sequence[str] = JSON_LINES
) -> None:
    """Finds out before long work whether all of it can be written.

    Args:
        picture: the file's name in --plots, without `.png`.
        json_lines: how the file of --json begins, as `json_mark` takes it.
    Raises InputError: something can't.
    """
    from tfface.files import check_replaceable, json_mark

    if options.plots:
        outputs.check_pictures(options, picture)
    if options.json:
        check_replaceable(options.json, json_mark(*json_lines), overwrite=options.overwrite)


def write(
    options: argparse.Namespace,
    rows: Sequence[dict],
    picture: str,
    draw: Callable[[Path, Sequence[dict]], None],
) -> None:
    """Writes what the options ask for, and prints where it went.

    Args:
        rows: of any JSON values.
        picture: as for `check`.
        draw: draws the rows into a file.
    Raises InputError: something can't be written.
    """
    from tfface.files import write_json

    if options.json:
        write_json(options.json, rows)
        print(f"figures: {options.json}")
    if options.plots:
        path = options.plots / f"{picture}.png"
        draw(path, rows)
        print(f"plots: {path}")
