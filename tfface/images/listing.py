"""Finding the images in folders: by their names, and where these say nothing, by their content."""

import os
from collections.abc import Iterator
from pathlib import Path

from tfface.errors import InputError
from tfface.files import os_errors
from tfface.images.header import START_BYTES, image_kind
from tfface.reporting.contact_sheet import CONTACT_SHEET_FILE

# Images by their names: what is in them is seen when they are decoded. To look into each of
# millions of files takes long.
EXTENSIONS = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"),
        *(".jp2", ".avif", ".pgm", ".ppm", ".pnm", ".pbm"),
    }
)
HEIC_EXTENSIONS = frozenset({".heic", ".heif", ".hif"})
# Images that are not read here, and that somebody would miss if they were passed over.
UNREAD_EXTENSIONS = frozenset(
    {
        *(".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw", ".raw"),
        *(".jxl", ".psd"),
    }
)
_ALL_EXTENSIONS = EXTENSIONS | HEIC_EXTENSIONS | UNREAD_EXTENSIONS
_CONTACT_SHEET = os.fsencode(CONTACT_SHEET_FILE)
# What systems and storage devices put beside everybody's files.
_OF_SYSTEMS = frozenset(
    {
        *(b"@eadir", b"@recycle", b"@tmp", b"#recycle", b"#snapshot", b"$recycle.bin"),
        *(b"lost+found", b"system volume information", b"__macosx", b"thumbs.db", b"desktop.ini"),
    }
)


def visible_entries(folder: bytes) -> list[os.DirEntry]:
    """Lists what is in a folder, in any order, but for what is hidden or a system's own.

    Args:
        folder: its path, as bytes.

    Raises InputError: it can't be listed.
    """
    with os_errors(folder, "listed"), os.scandir(folder) as entries:
        return [
            entry
            for entry in entries
            if not entry.name.startswith(b".") and entry.name.lower() not in _OF_SYSTEMS
        ]


def files_below(folder: bytes, parents: tuple[str, ...] = ()) -> Iterator[os.DirEntry]:
    """Yields the files in a folder and below it, in any order; links are followed.

    Args:
        parents: folders that it lies in, without links, for those who call themselves.
    Raises InputError: a folder can't be listed, or a link leads to itself or to a folder that it
        lies in.
    """
    real = None
    for entry in visible_entries(folder):
        if _is_folder(entry):
            if real is None:
                # A folder that it lies in has at least one folder, so in most this isn't asked.
                real = os.path.realpath(os.fsdecode(folder))
                if real in parents:
                    raise InputError(f"{os.fsdecode(folder)}: a link to a folder that it lies in")
            yield from files_below(entry.path, (*parents, real))
        else:
            yield entry


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    # A link to itself, for example; a dead one is no error here.
    except OSError as error:
        raise InputError(
            f"{os.fsdecode(entry.path)}: can't be read: {error.strerror or error}"
        ) from error


def extension(name: bytes) -> str:
    """Returns how a file's name ends, in lower case: `.jpg`, or nothing.

    Args:
        name: without a folder.
    """
    dot = name.rfind(b".")
    # Dots that a name begins with are no ending's.
    return os.fsdecode(name[dot:]).lower() if name[:dot].strip(b".") and dot > 0 else ""


def is_image(entry: os.DirEntry) -> bool:
    """Whether a file is an image, be it one that can't be read: by its name, else by its content.

    Contact sheets that our tools draw are images of nobody.

    Raises InputError: it would have to be looked into, and can't be.
    """
    if entry.name == _CONTACT_SHEET:
        return False
    if extension(entry.name) in _ALL_EXTENSIONS:
        return True
    # A pipe would keep who reads it waiting forever.
    return entry.is_file() and kind_of_file(entry.path) is not None


def looks_like_image(path: Path) -> bool:
    """Whether a path is that of an image, by its name, else by its content; it may not be there."""
    return extension(os.fsencode(path.name)) in _ALL_EXTENSIONS or (
        path.is_file() and kind_of_file(path) is not None
    )


def kind_of_file(path: bytes | Path) -> str | None:
    """Returns what kind of image a file is, by its content; None if it is none.

    Args:
        path: of the file.

    Raises InputError: it can't be read.
    """
    with os_errors(path), open(path, "rb", buffering=0) as file:
        return image_kind(file.read(START_BYTES))
