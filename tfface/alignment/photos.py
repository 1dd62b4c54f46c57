"""Finding photos below a folder, and reading them whatever their format."""

import os
from pathlib import Path

from PIL import Image

from tfface.errors import InputError
from tfface.files import check_regular
from tfface.images.listing import HEIC_EXTENSIONS, UNREAD_EXTENSIONS, files_below, is_image
from tfface.images.pillow_decoder import read_image, read_size, reads_heic


def list_photos(folder: Path) -> list[str]:
    """Returns the photos below a folder, at any depth: their paths in it, in the order of bytes.

    Hidden files and folders, those of the system, contact sheets that our tools draw, and files
    that are no images, are passed over; links are followed. Photos in formats that can't be read
    are listed too.

    Raises InputError: a folder can't be listed, or links to one that it lies in; or what is called
        like a photo is a device or a pipe.
    """
    root = os.fsencode(folder)
    paths = sorted(entry.path for entry in files_below(root) if is_image(entry))
    for path in paths:
        check_regular(Path(os.fsdecode(path)))
    return [os.fsdecode(os.path.relpath(path, root)) for path in paths]


def is_readable_format(name: str) -> bool:
    """Whether a photo is of a format that can be read, by its name."""
    ending = os.path.splitext(name)[1].lower()
    return ending not in UNREAD_EXTENSIONS and (ending not in HEIC_EXTENSIONS or reads_heic())


def count_pixels(path: Path) -> int:
    """Returns how many pixels a photo has, without decoding it; 0 if that can't be found out."""
    try:
        size = read_size(path.read_bytes())
    # `read_photo` says what is wrong with it.
    except OSError:
        return 0
    return size[1] * size[2] if size else 0


def read_photo(path: Path) -> Image.Image:
    """Reads a photo as `pillow_decoder.read_image` does: upright, RGB, on white.

    Raises InputError: it can't be read; the message says why, without the path.
    """
    # Some raw files begin as pictures do, and would give their small preview.
    if path.suffix.lower() in UNREAD_EXTENSIONS:
        kind = path.suffix[1:].upper()
        raise InputError(f"{kind} is not a format that is read here; convert it to JPEG or PNG")
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise InputError(error.strerror or str(error)) from error
    return read_image(encoded)
