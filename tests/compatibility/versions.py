"""The folders of the versions, and copies of them that a test may change."""

import json
import os
import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Oldest first.
VERSIONS = sorted(
    (path for path in HERE.iterdir() if path.is_dir() and path.name[0].isdigit()),
    key=lambda path: [int(number) for number in path.name.split(".")],
)

# Nanoseconds. An alignment knows its photos by the time of their last change, which git does not
# keep.
PHOTO_TIME = 1_000_000_000 * 10**9


def copy_of(version: Path, folder: Path) -> Path:
    """Copies what a version wrote to `folder`; returns that."""
    shutil.copytree(version, folder)
    set_photo_times(folder)
    return folder


def set_photo_times(folder: Path) -> None:
    """Gives the photos of a version's folder the time that its alignment has noted."""
    for photo in (folder / "photos").iterdir():
        os.utime(photo, ns=(PHOTO_TIME, PHOTO_TIME))


def expected(version: Path) -> dict[str, object]:
    """Returns what was recorded when a version's folder was written."""
    return json.loads((version / "expected.json").read_text(encoding="utf-8"))
