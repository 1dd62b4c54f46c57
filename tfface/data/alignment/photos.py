"""Finding photos below a folder, and reading them whatever their format."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from tfface.errors import InputError
from tfface.report.contact_sheet import CONTACT_SHEET_FILE

# Files that end otherwise are no photos. What a file is, its first bytes say, not its name.
EXTENSIONS = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff"),
    *(".gif", ".jp2", ".avif", ".pgm", ".ppm", ".pnm", ".pbm"),
}
# Photos that somebody would miss if they were passed over like a README.
_OTHER_EXTENSIONS = {
    *(".heic", ".heif", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf")
}
# Not all that Pillow knows: some of the others run programs.
_FORMATS = {"JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "JPEG2000", "AVIF", "PPM"}

# More is taken for an attack or a mistake, as by Pillow.
MOST_PIXELS = 2 * 89_478_485

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def list_photos(folder: Path) -> list[str]:
    """Returns the photos below a folder, at any depth: their paths in it, in the order of bytes.

    Hidden files and folders, files that are no photos, and contact sheets that our tools draw, are
    passed over; links are followed.
    Photos in formats that can't be read are listed too.

    Raises InputError: a folder can't be listed, or links to one that it lies in.
    """
    root = os.fsencode(folder)
    paths = sorted(_photos_below(root, ()))
    return [os.fsdecode(os.path.relpath(path, root)) for path in paths]


def is_readable_format(name: str) -> bool:
    """Whether a photo is of a format that can be read, by its name."""
    return _extension(name) not in _OTHER_EXTENSIONS


def count_pixels(path: Path) -> int:
    """Returns how many pixels a photo has, without decoding it; 0 if that can't be found out."""
    try:
        with Image.open(path, formats=_formats()) as image:
            return image.width * image.height
    # `read_photo` says what is wrong with it.
    except Exception:
        return 0


def read_photo(path: Path) -> Image.Image:
    """Reads a photo and turns it upright, as its EXIF tag says.

    Grey, palette and CMYK become RGB; 16 bits become 8; what is transparent becomes white. Of an
    animation it is the first picture.

    Returns: RGB, loaded.
    Raises InputError: it can't be read; the message says why, without the path.
    """
    if not is_readable_format(path.name):
        kind = path.suffix[1:].upper()
        raise InputError(f"{kind} is not a format that is read here; convert it to JPEG or PNG")
    try:
        with Image.open(path, formats=_formats()) as image:
            if image.width * image.height > MOST_PIXELS:
                raise _too_large()
            image.load()
            turn = _UPRIGHT.get(_orientation(image))
        image = _as_rgb(image)
        return image if turn is None else image.transpose(turn)
    except InputError:
        raise
    except UnidentifiedImageError:
        empty = path.stat().st_size == 0
        raise InputError("the file is empty" if empty else "not an image, or damaged") from None
    except Image.DecompressionBombError:
        raise _too_large() from None
    # Damaged files make decoders raise anything.
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(reason.splitlines()[0]) from error


@cache
def _formats() -> tuple[str, ...]:
    # Old versions of Pillow don't know all of them.
    Image.init()
    return tuple(sorted(_FORMATS & set(Image.OPEN)))


def _photos_below(folder: bytes, parents: tuple[str, ...]) -> Iterator[bytes]:
    name = os.fsdecode(folder)
    real = os.path.realpath(name)
    if real in parents:
        raise InputError(f"{name}: a link to a folder that it lies in")
    try:
        with os.scandir(folder) as listing:
            entries = [entry for entry in listing if not entry.name.startswith(b".")]
    except OSError as error:
        raise InputError(f"{name}: can't be listed: {error.strerror or error}") from error
    for entry in entries:
        if entry.is_dir():
            yield from _photos_below(entry.path, (*parents, real))
        elif os.fsdecode(entry.name) == CONTACT_SHEET_FILE:
            continue
        elif _extension(os.fsdecode(entry.name)) in EXTENSIONS | _OTHER_EXTENSIONS:
            yield entry.path


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _too_large() -> InputError:
    return InputError(f"it claims to have more than {MOST_PIXELS:,} pixels, the most that are read")


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.mode == "F":
        raise InputError("its pixels are floating-point numbers; save it with 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image).astype(np.int64)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise InputError("its pixels have 32 bits; save it with 8 or 16 bits")
    return Image.fromarray(((pixels + 128) // 257).astype(np.uint8)).convert("RGB")


def _orientation(image: Image.Image) -> int | None:
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    # An unreadable tag is none: the picture itself is fine.
    except Exception:
        return None
