"""What the commands share that take photos: --aligned, --threshold, and what they say of faces."""

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options to a command's parser."""
    add_aligned(parser)
    parser.add_argument(
        "--threshold",
        type=cosine,
        metavar="T",
        help="the smallest cosine of two faces of one person (default: what is known of the "
        "gallery or the model)",
    )


def add_aligned(parser: argparse.ArgumentParser) -> None:
    """Adds the option that no faces are looked for."""
    parser.add_argument(
        "--aligned",
        action="store_true",
        help="the photos are aligned faces: use them as they are (default: find the faces; a "
        "photo that is an aligned face already is noticed)",
    )


def cosine(text: str) -> float:
    """An option's cosine."""
    try:
        value = float(text)
    except ValueError:
        value = 2.0
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a cosine from -1 to 1, got '{text}'")
    return value


def place(face) -> str:
    """Where a face is in its photo, in pixels: left, top, right, bottom."""
    left, top, right, bottom = (round(float(edge)) for edge in face.box)
    return f"{left},{top} to {right},{bottom}"
