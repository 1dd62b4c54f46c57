"""Finding photos below a folder, and reading them whatever their format."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from tfface.errors import InputError, warn
from tfface.files import check_regular
from tfface.images.listing import (
    HEIC_EXTENSIONS,
    UNREAD_EXTENSIONS,
    files_below,
    is_image,
    looks_like_image,
)
from tfface.images.pillow_decoder import FORMATS, read_image, read_size, reads_heic
from tfface.paths import check_there, printable
from tfface.reporting.contact_sheet import CONTACT_SHEET_FILE

_MOST_NAMED = 3


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


def photos_at(path: Path) -> list[Path]:
    """Returns a photo, or lists the photos in a folder, in order.

    Photos that can't be read are listed, too: who reads them skips them, and says so.

    Raises InputError: the path does not exist or is no image, or the folder contains no image or
        can't be listed.
    """
    check_there(path, "photo or folder")
    if path.is_dir():
        below = list_photos(path)
        if not below:
            raise InputError(f"{path}: no image ({FORMATS}) in it")
        return [path / name for name in below]
    if not path.is_file():
        # Reading a pipe might wait forever.
        raise InputError(f"{path}: not a regular file; give an image or a folder")
    if path.name == CONTACT_SHEET_FILE:
        raise InputError(f"{path}: a contact sheet of a tool, not an image of a person")
    if not looks_like_image(path):
        raise InputError(f"{path}: not an image that can be read ({FORMATS})")
    return [path]


def photos_among(paths: Iterable[Path]) -> tuple[list[Path], list[tuple[str, str]]]:
    """Lists photos, and the photos in folders, in order, and passes over what is no photo.

    A pattern of the shell, as `door/*`, names other files, too.

    Args:
        paths: files and folders.

    Returns:
        The photos; and the names of the paths that are no photos, with why.

    Raises InputError: a path isn't there, or none is a photo or a folder with photos.
    """
    paths = list(paths)
    for path in paths:
        check_there(path, "photo or folder")
    photos: list[Path] = []
    others = []
    for path in paths:
        try:
            photos += photos_at(path)
        except InputError as error:
            others.append((printable(str(path)), str(error).removeprefix(f"{path}: ")))
    if paths and not photos:
        raise none_is_left(others)
    return photos, others


def none_is_left(skipped: Sequence[tuple[str, str]]) -> InputError:
    """Returns the error that no photo can be used, by the names of all, and why."""
    name, reason = skipped[0]
    others = f"; nor can {len(skipped) - 1:,} more be used" if len(skipped) > 1 else ""
    return InputError(f"{name}: {reason}{others}")


def warn_of_others(others: Sequence[tuple[str, str]]) -> None:
    """Warns of paths that are no photos, as `photos_among` returns them."""
    if others:
        names = [name for name, _ in others]
        more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
        are = "no photo" if len(names) == 1 else "no photos"
        warn(f"passed over what is {are}: {', '.join(names[:_MOST_NAMED])}{more}")


def warn_of_skipped(skipped: Sequence[tuple[str, str]], number: int) -> None:
    """Warns of photos that were left out, if there are any.

    Args:
        skipped: their names, and why.
        number: of all photos.
    """
    if skipped:
        named = "; ".join(f"{photo}: {reason}" for photo, reason in skipped[:_MOST_NAMED])
        more = f"; and {len(skipped) - _MOST_NAMED:,} more" if len(skipped) > _MOST_NAMED else ""
        warn(f"skipped {len(skipped):,} of {number:,} photos: {named}{more}")


def why_unread(error: InputError, *names: str) -> str:
    """Returns why a photo can't be read or used, without what messages call it.

    Args:
        error: of reading it.
        names: what the error may call it.
    """
    reason = str(error)
    for name in (*names, "the photo", "can't be read"):
        reason = reason.removeprefix(f"{name}: ")
    return reason if reason.startswith("can't be ") else f"can't be read: {reason}"


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


def check_one_photo(path: Path) -> None:
    """Checks that a path is that of one file, which may be a photo.

    Raises InputError: nothing is there, or a folder, a device or a pipe.
    """
    check_there(path, "photo")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give one photo")
    check_regular(path)


def read_one_photo(path: Path) -> Image.Image:
    """Reads a photo that a user names, as `read_photo` does.

    Raises InputError: as `check_one_photo`, or it can't be read; the message begins with the path.
    """
    check_one_photo(path)
    try:
        return read_photo(path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_photo(path: Path) -> Image.Image:
    """Reads a photo as `pillow_decoder.read_image` does: upright, RGB, on white.

    Raises InputError: it can't be read; the message says why, without the path.
    """
    return read_image(read_photo_file(path))


def read_photo_file(path: Path) -> bytes:
    """Returns the bytes of a photo.

    Raises InputError: as `read_photo`, by its name or because there is no such file.
    """
    # Some raw files begin as pictures do, and would give their small preview.
    if path.suffix.lower() in UNREAD_EXTENSIONS:
        kind = path.suffix[1:].upper()
        raise InputError(f"{kind} is not a format that is read here; convert it to JPEG or PNG")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(error.strerror or str(error)) from error
