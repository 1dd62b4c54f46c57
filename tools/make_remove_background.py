"""Replaces the background of face images by one colour."""

import argparse
import os
from pathlib import Path

import command

_DESCRIPTION = """\
Finds the person in each face image and fills the rest with one colour. SRC is a folder with one
folder per person, a converted dataset, or whatever else convert_tfrecord reads; OUT gets the same
folders and names. Images where nothing is found are kept as they are. OUT/report.csv has a row for
each image, OUT/contact_sheet.png shows some before and after.
"""

_EXAMPLE = """\
examples:
  python tools/make_remove_background.py data/my_faces data/my_faces_cut
  python tools/make_remove_background.py data/my_faces data/my_faces_cut --fill grey --margin 0.1

GrabCut learns the colours of person and background from where they lie in an aligned face. Where
faces fill less of their images, give a --margin: the share of the image on each side that lies
beyond the person. rembg, a network, is used when its package is installed.

A command that was stopped goes on when it is given again. The last line printed is OUT.
"""


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    from tfface.data.background import REPORT, BackgroundOptions, remove_background
    from tfface.data.sources.opening import open_source

    how = BackgroundOptions(
        method=options.method,
        margin=options.margin,
        fill=options.fill,
        format=options.output_format,
    )
    opened = open_source(options.source, options.format)
    try:
        done = remove_background(
            opened, options.output, how, options.workers or os.cpu_count() or 1
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; the same command goes on where it was") from None
    print(
        f"removed the background of {done.num_images - done.num_kept:,} of {done.num_images:,} "
        f"images; {done.num_kept:,} kept as they are, see {options.output / REPORT}"
    )
    print(options.output)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SRC", help="people, as convert_tfrecord takes them")
    parser.add_argument("output", type=Path, metavar="OUT", help="folder to write")
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
        help="the new background; mean is each image's mean colour (default: black)",
    )
    parser.add_argument(
        "--output-format",
        choices=("jpeg", "png"),
        default="jpeg",
        help="of the images; JPEG has quality 95 (default: jpeg)",
    )
    parser.add_argument(
        "--format", default="auto", help="of SRC, as convert_tfrecord takes it (default: auto)"
    )
    parser.add_argument(
        "--workers", type=command.positive, metavar="N", help="threads (default: one per CPU)"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    command.run(main)
