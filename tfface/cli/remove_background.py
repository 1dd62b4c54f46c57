"""Replaces the background of face images by one color."""

import argparse

from tfface.cli import command, made_faces
from tfface.errors import say

_DESCRIPTION = """\
Finds the person in each face image and fills the rest with one color. SRC is a folder with one
folder per person, a converted dataset, or whatever else 'tfface convert' reads; OUT gets the same
folders and names. Images where nothing is found are kept as they are. OUT/report.csv has a row for
each image, OUT/contact_sheet.png shows some before and after.
"""

_EXAMPLE = """\
examples:
  tfface remove-background data/my_faces data/my_faces_cut
  tfface remove-background data/my_faces data/my_faces_cut --fill grey --margin 0.1

GrabCut learns the colors of person and background from where they lie in an aligned face. Where
faces fill less of their images, give a --margin: the share of the image on each side that lies
beyond the person. rembg, a network, is used when its package is installed.

A command that was stopped goes on when it is given again. The last line printed is OUT.
"""


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    from tfface.data.derived.background import (
        HARDLY_CHANGED,
        REPORT,
        BackgroundOptions,
        remove_background,
    )

    how = BackgroundOptions(
        method=options.method,
        margin=options.margin,
        fill=options.fill,
        format=options.output_format,
    )
    source = made_faces.open_source(options)
    with command.interruptible("the same command goes on where it was"):
        done = remove_background(source, options.output, how, options.workers)
    hardly = (
        f" ({done.num_hardly:,} of them hardly changed: {HARDLY_CHANGED:.0%} or more was kept)"
        if done.num_hardly
        else ""
    )
    say(
        f"removed the background of {done.num_images - done.num_kept:,} of {done.num_images:,} "
        f"images{hardly}; {done.num_kept:,} kept as they are, see {options.output / REPORT}"
    )
    say(options.output)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=_DESCRIPTION, epilog=_EXAMPLE)
    made_faces.add(parser, of_format="the images")
    parser.add_argument(
        "--method",
        choices=("grabcut", "rembg"),
        default="grabcut",
        help="what finds the person (default: grabcut)",
    )
    parser.add_argument(
        "--margin",
        type=float,
        default=0.0,
        metavar="M",
        help="share of the image on each side that lies beyond the person, 0 to 0.45 (default: 0)",
    )
    parser.add_argument(
        "--fill",
        choices=("black", "white", "grey", "mean"),
        default="black",
        help="the new background; mean is each image's mean color (default: black)",
    )
    return parser.parse_args(arguments)
