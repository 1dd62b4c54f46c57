"""Finds the faces of photos and cuts them out aligned, as face recognition wants them."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from tfface.cli import command
from tfface.errors import InputError, say, warn

_DESCRIPTION = """\
Finds the faces of photos (MTCNN) and writes each one turned, scaled and cut so that eyes, nose and
mouth are where ArcFace's template has them. SRC is a folder, with photos at any depth, or a single
photo; OUT gets the same sub-folders and names. The report, OUT/report.csv, has a row for every face
and for every photo without one; OUT/contact_sheet.png shows them.
"""

_EXAMPLE = """\
example:
  tfface align data/photos data/faces --image-size 112

Of several faces the most important one is taken: the area of its box in the photo, times 1 - the
distance of its center from the photo's, in half diagonals. The others are in the report.

A command that was stopped goes on when it is given again, and ends with the same files; photos that
were added since are aligned too. Photos are never changed. The last line printed is OUT.
"""


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    # Every photo has a thread of its own; TensorFlow's would only be in their way, and their number
    # changes the last digits of its results.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    from tfface.alignment.align import REPORT, Options, align, plan_alignment

    if options.output_format == "png" and options.quality is not None:
        raise InputError("--quality is for JPEG, and the format is png")
    height, width = options.image_size
    plan = plan_alignment(
        options.source,
        options.output,
        Options(
            height=height,
            width=width,
            format=options.output_format,
            quality=95 if options.quality is None else options.quality,
            all_faces=options.all_faces,
            min_confidence=options.min_confidence,
            min_size=options.min_size,
            detection_size=options.detection_size,
        ),
    )
    _warn_of_level(options.source, plan.photos)
    detector = None
    if not plan.is_finished:
        command.import_tensorflow_quietly()
        from tfface.alignment.detection import MtcnnDetector

        detector = MtcnnDetector()
    with command.interruptible("the same command goes on where it was"):
        done = align(plan, detector, options.workers)
    without = f"{done.num_without:,} without a face"
    if done.num_unreadable:
        without += f" ({done.num_unreadable:,} of them can't be read)"
    say(
        f"{'already aligned' if plan.is_finished else 'aligned'} {done.num_faces:,} faces of "
        f"{done.num_photos:,} photos; {without}, see {options.output / REPORT}"
    )
    if not done.num_faces:
        raise InputError(
            f"{options.source}: no face was aligned; {options.output / REPORT} says of each photo "
            "why"
        )
    say(options.output)


def _warn_of_level(source: Path, photos: Sequence[str]) -> None:
    """Warns where the folders of people are one level deeper, as commands that take people refuse.

    To be aligned, photos may lie anywhere.
    """
    folders: dict[bytes, list[bytes]] = {}
    for photo in photos:
        folder, _, below = os.fsencode(photo).partition(b"/")
        if not below:
            # A photo alone, or one beside the folders.
            return
        folders.setdefault(folder, []).append(below)
    from tfface.images.people_folder import one_level_too_high

    if too_high := one_level_too_high(source, folders):
        warn(too_high)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=_DESCRIPTION, epilog=_EXAMPLE)
    parser.add_argument(
        "source", type=command.path, metavar="SRC", help="a folder of photos, or a photo"
    )
    parser.add_argument("output", type=command.path, metavar="OUT", help="folder to write")
    parser.add_argument(
        "--image-size",
        type=command.image_size,
        default=(112, 112),
        metavar="HxW",
        help="size of the faces in pixels: one number, or HEIGHTxWIDTH as in 112x96 (default: 112)",
    )
    parser.add_argument(
        "--output-format",
        choices=("jpeg", "png"),
        default="jpeg",
        help="format of the faces (default: jpeg)",
    )
    parser.add_argument(
        "--quality", type=command.quality, metavar="Q", help="JPEG quality, 1 to 100 (default: 95)"
    )
    parser.add_argument(
        "--all-faces",
        action="store_true",
        help="align all faces of a photo: NAME_1.jpg is the most important, NAME_2.jpg the next",
    )
    parser.add_argument(
        "--min-confidence",
        type=float,
        default=0.9,
        metavar="C",
        help="leave out faces with a lower detection score, 0.5 to 1 (default: 0.9)",
    )
    parser.add_argument(
        "--min-size",
        type=command.natural,
        default=32,
        metavar="PIXELS",
        help="leave out faces whose box has a shorter side of fewer pixels (default: 32)",
    )
    parser.add_argument(
        "--detection-size",
        type=command.natural,
        default=1024,
        metavar="PIXELS",
        help="shrink photos to this longer side before detecting faces; a larger size finds "
        "smaller faces in large photos and takes longer (default: 1024)",
    )
    parser.add_argument(
        "--workers", type=command.workers, metavar="N", help="threads (default: one per CPU)"
    )
    return parser.parse_args(arguments)
