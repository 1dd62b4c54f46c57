"""What commands share that take photos: the photos, --aligned, --threshold, --top and --json."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from tfface.cli import command, outputs
from tfface.errors import InputError, say

_Answer = TypeVar("_Answer")


def add_photos(parser: argparse.ArgumentParser) -> None:
    """Adds the photos as `options.images`."""
    parser.add_argument(
        "images", nargs="+", type=command.path, metavar="PHOTO", help="photos, or folders of photos"
    )


def answer_each(
    photos: Sequence[Path],
    answer: Callable[[Path], _Answer],
    skipped: list[tuple[str, str]],
    *,
    description: str,
) -> Iterator[tuple[Path, _Answer]]:
    """Yields each photo that can be read with the answer about it, with a progress bar.

    Args:
        photos: all of them.
        answer: raises InputError if a photo can't be read.
        skipped: the names of paths that are no photos, and why; those of photos that can't be read
            are added.
        description: of the progress bar.

    Raises InputError: no photo can be read.
    """
    from tfface.alignment.photos import none_is_left, why_unread
    from tfface.paths import printable
    from tfface.progress import progress

    num_given = len(photos) + len(skipped)
    for photo in progress(photos, description=description, unit="photos"):
        try:
            found = answer(photo)
        except InputError as error:
            skipped.append((printable(str(photo)), why_unread(error, str(photo))))
        else:
            yield photo, found
    if len(skipped) == num_given:
        raise none_is_left(skipped)


def say_loading(model: str | None, gallery: Path | None = None) -> None:
    """Says on stderr, before TensorFlow is imported, what takes the next seconds.

    Args:
        model: MODEL, as given; None where the gallery knows its own.
        gallery: the gallery.
    """
    if model != "pixels":
        say(f"loading {model or f'the model of {gallery}'}", file=sys.stderr)


def add_top(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds --top.

    Args:
        what: the K that are shown, for the help text.
    """
    parser.add_argument(
        "--top",
        type=command.positive,
        default=1,
        metavar="K",
        help=f"show the K {what} (default 1)",
    )


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds --json and --overwrite; `check_json` and `write_json` go with it.

    Args:
        what: the file's content, for the help text.
    """
    parser.add_argument(
        "--json", type=command.path, metavar="FILE", help=f"write {what} to this file"
    )
    outputs.add_overwrite(parser, "--json")


def check_json(options: argparse.Namespace, lines: Sequence[str]) -> None:
    """Checks before long work that --json can be written.

    Args:
        lines: how the command's files begin, as `json_mark` takes it.
    Raises InputError: it can't, or would replace a file that is not of this command.
    """
    from tfface.output_paths import check_replaceable, json_mark

    if options.json:
        check_replaceable(options.json, json_mark(*lines), overwrite=options.overwrite)


def write_json(options: argparse.Namespace, content: dict) -> None:
    """Writes --json, where it is given, and says where."""
    from tfface import files

    if options.json:
        files.write_json(options.json, content)
        say(f"results: {options.json}")


def add_faces(parser: argparse.ArgumentParser) -> None:
    """Adds --aligned and --threshold."""
    add_aligned(parser)
    parser.add_argument(
        "--threshold",
        type=cosine,
        metavar="T",
        help="smallest cosine at which two faces are of one person (default: the threshold of the "
        "gallery or the model)",
    )


def add_aligned(parser: argparse.ArgumentParser) -> None:
    """Adds --aligned, which turns face detection off."""
    parser.add_argument(
        "--aligned",
        action="store_true",
        help="the photos are aligned faces: use them as they are (default: find the faces; "
        "aligned faces are recognized as such)",
    )


def cosine(text: str) -> float:
    """An option's cosine."""
    return command.number(text, lambda value: -1 <= value <= 1, "a cosine from -1 to 1")


def place(face) -> str:
    """Where a face is in its photo, in pixels: left, top, right, bottom."""
    left, top, right, bottom = (round(float(edge)) for edge in face.box)
    return f"{left},{top} to {right},{bottom}"
