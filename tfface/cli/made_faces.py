"""What the tools that make faces from faces share: SRC, OUT, and how SRC is opened."""

import argparse
import os
from typing import TYPE_CHECKING

from tfface.cli import command

if TYPE_CHECKING:
    from tfface.data.sources.opening import OpenedSource


def add(parser: argparse.ArgumentParser, *, of_format: str) -> None:
    """Adds the arguments to a tool's parser.

    Args:
        of_format: which images --output-format is about.
    """
    parser.add_argument("source", metavar="SRC", help="people, as 'tfface convert' takes them")
    parser.add_argument("output", type=command.path, metavar="OUT", help="folder to write")
    parser.add_argument(
        "--output-format",
        choices=("jpeg", "png"),
        default="jpeg",
        help=f"of {of_format}; JPEG has quality 95 (default: jpeg)",
    )
    parser.add_argument(
        "--input-format",
        default="auto",
        help="format of SRC, as 'tfface convert' takes it (default: auto)",
    )
    parser.add_argument(
        "--workers",
        type=command.workers,
        default=os.cpu_count() or 1,
        metavar="N",
        help="threads (default: one per CPU)",
    )


def open_source(options: argparse.Namespace) -> "OpenedSource":
    """SRC, opened.

    Raises InputError: it can't be.
    """
    from tfface.data.sources import opening

    return opening.open_source(options.source, options.input_format)
