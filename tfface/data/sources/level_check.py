"""Is a folder of people's folders really one, or does it lie one level too high?

Sub-folders of a person's folder are nothing wrong (a year, a camera; or a person, where folders are
classes), so only what is surely another layout is refused.
"""

import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tfface.errors import InputError
from tfface.reporting.contact_sheet import CONTACT_SHEET_FILE

# What this package's tools leave in folders of people, and nobody in a person's.
_OUR_FILES = (b".alignment.jsonl", b".made.jsonl", b"dataset.json")
# What parts and states of datasets are called, and people are not.
_PARTS = frozenset(
    {
        *("train", "training", "valid", "validation", "val", "dev", "test", "testing"),
        *("eval", "evaluation", "fold", "folds"),
    }
)
_STATES = frozenset(
    {
        *("image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "face"),
        *("faces", "aligned", "unaligned", "raw", "original", "originals", "crops", "cropped"),
        *("data", "dataset", "datasets", "part", "parts", "split", "splits", "set", "subset"),
        *("batch", "chunk", "shard"),
    }
)
_MOST_NAMED = 5


def check_level(path: Path, images: Mapping[bytes, Sequence[bytes]]) -> None:
    """Raises InputError: the people are one level below `path`; says which folder is likely meant.

    Args:
        path: the folder that was given.
        images: sub-folder of it -> paths of the images in and below that.
    """
    above = [folder for folder in images if _holds_folders_alone(images[folder])]
    ours = [folder for folder in above if _is_written_by_us(folder)]
    names = [os.fsdecode(os.path.basename(folder)) for folder in images]
    if ours:
        name = os.fsdecode(os.path.basename(ours[0]))
        raise InputError(
            f"{path}: {name} in it is a folder of people, not a person: it holds what a tool of "
            f"this package writes beside people's folders. Give {path / name}"
        )
    if len(images) == 1 and above:
        folder, below = _down_to_people(path / names[0], images[above[0]])
        # A person may have one folder in theirs, but not one called as theirs is.
        chain = [os.path.basename(os.path.abspath(path)), *folder.relative_to(path).parts]
        is_doubled = any(outer == inner for outer, inner in itertools.pairwise(chain))
        if is_doubled or len(_folders(below)) > 1:
            raise InputError(
                f"{path}: holds one folder, {names[0]}, with folders in it, so all images would "
                f"be of one person: it seems to lie one level too high. Give {folder}"
            )
    if not all(map(_is_no_person, names)):
        return
    holding = {folder: found for folder, found in images.items() if _holds_mostly_folders(found)}
    if holding:
        more = ", ..." if len(names) > _MOST_NAMED else ""
        raise InputError(
            f"{path}: its folders ({', '.join(names[:_MOST_NAMED])}{more}) hold folders and are "
            "called like parts of a dataset, not like people: it seems to lie one level too high. "
            f"Give one of them, such as {_likely(path, holding)}"
        )


def _folders(images: Iterable[bytes]) -> set[bytes]:
    return {image.split(b"/", 1)[0] for image in images if b"/" in image}


def _holds_folders_alone(images: Sequence[bytes]) -> bool:
    return bool(_folders(images)) and not _num_loose(images)


def _holds_mostly_folders(images: Sequence[bytes]) -> bool:
    """Whether a folder has more folders than images beside them: a stray image is no person's."""
    return len(_folders(images)) > _num_loose(images)


def _num_loose(images: Iterable[bytes]) -> int:
    own = os.fsencode(CONTACT_SHEET_FILE)
    return sum(b"/" not in image and image != own for image in images)


def _is_written_by_us(folder: bytes) -> bool:
    return any(os.path.exists(os.path.join(folder, file)) for file in _OUR_FILES)


def _is_no_person(name: str) -> bool:
    words = re.findall(r"[a-z]+", name.lower())
    return bool(words) and (
        any(word in _PARTS for word in words) or all(word in _STATES for word in words)
    )


def _likely(path: Path, images: Mapping[bytes, Sequence[bytes]]) -> Path:
    """The folder that is likely meant: training images, or the only ones, down to the people."""
    names = {os.fsdecode(os.path.basename(folder)): folder for folder in images}
    wanted = ("train", "aligned", "faces", "")
    name = next(name for word in wanted for name in sorted(names) if word in name.lower())
    return _down_to_people(path / name, images[names[name]])[0]


def _down_to_people(folder: Path, images: Sequence[bytes]) -> tuple[Path, Sequence[bytes]]:
    """Goes down where there is but one folder that holds folders.

    Args:
        images: in and below `folder`.
    Returns: the folder that is reached, and the images in and below it.
    """
    while _holds_folders_alone(images) and len(found := _folders(images)) == 1:
        inside = [image.split(b"/", 1)[1] for image in images if b"/" in image]
        if not _holds_folders_alone(inside):
            break
        folder, images = folder / os.fsdecode(found.pop()), inside
    return folder, images
