"""What a file is that was taken for something else, and what to do then."""

import re
from pathlib import Path

START_BYTES = 64
_OFFICE = "a spreadsheet or another office document: save its table as CSV (UTF-8)"
# Zip archives whose first file is one that such documents have.
_OFFICE_ZIP = re.compile(
    rb"PK\x03\x04.{26}(\[Content_Types\]\.xml|_rels/|xl/|docProps/|mimetypeapplication/vnd\.)",
    re.DOTALL,
)
_BEGINNINGS = (
    (b"version https://git-lfs", "a Git LFS pointer to the file: fetch the file with git lfs pull"),
    (b"\x1f\x8b", "a gzip file: unpack it with gunzip < PACKED > UNPACKED"),
    (b"PK\x03\x04", "a zip archive: unpack it"),
    (b"\xfd7zXZ\0", "an xz file: unpack it with unxz < PACKED > UNPACKED"),
    (b"BZh", "a bzip2 file: unpack it with bunzip2 < PACKED > UNPACKED"),
    (b"\xd0\xcf\x11\xe0", _OFFICE),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (b"Rar!", "a rar archive: unpack it"),
    (b"%PDF", "a PDF"),
    (b"<!doctype html", "a web page, as failed downloads leave it: download the file again"),
    (b"<html", "a web page, as failed downloads leave it: download the file again"),
)


def other_kind(start: bytes) -> str | None:
    """Returns what begins with these bytes and what to do with it; None if that isn't known.

    Args:
        start: the first `START_BYTES` bytes of a file.
    """
    if _OFFICE_ZIP.match(start):
        return _OFFICE
    start = start.lstrip() if start.lstrip()[:1] == b"<" else start
    for beginning, kind in _BEGINNINGS:
        if start[: len(beginning)].lower() == beginning.lower():
            return kind
    return None


def other_kind_of(path: Path) -> str | None:
    """Returns `other_kind` of a file; None as well if it can't be read."""
    try:
        # Reading a pipe would wait for who writes it.
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return other_kind(file.read(START_BYTES))
    except OSError:
        return None
