"""A folder with a folder of images for each person: what is in it, and whether it is one.

It needs no TensorFlow, so that commands can say at once what is wrong with a folder.
"""

import itertools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tfface.errors import InputError, warn
from tfface.images.listing import (
    EXTENSIONS,
    HEIC_EXTENSIONS,
    UNREAD_EXTENSIONS,
    extension,
    files_below,
    is_image,
    kind_of_file,
    visible_entries,
)
from tfface.images.pillow_decoder import FORMATS, HEIC_ADVICE, is_read
from tfface.names import clean_name
from tfface.paths import not_there
from tfface.progress import progress
from tfface.reporting.contact_sheet import CONTACT_SHEET_FILE

# Files that tools of this package write next to folders of people, never in a person's folder.
_OUR_FILES = (b".alignment.jsonl", b".made.jsonl", b"dataset.json")
# Names of parts and states of datasets, which are not names of people.
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
# Groups of people: they may be classes of a classifier, but nobody in a gallery.
_GROUPS = frozenset(
    {
        *("friend", "friends", "stranger", "strangers", "people", "persons", "known", "unknown"),
        *("staff", "family", "colleagues", "guests", "gallery", "galleries", "queries", "enrolled"),
    }
)
_MOST_NAMED = 5
# Folders in the folder of an identity.
_KFACE_LEVELS = 3


def check_folder_level(
    path: Path, images: Mapping[bytes, Sequence[bytes]], *, of_gallery: bool = False
) -> None:
    """Checks that a folder is not one level above the folders of identities.

    Folders in a person's folder are allowed (a year, a camera; or people, if folders are classes),
    so only certain cases are errors.

    Args:
        path: the folder.
        images: sub-folder -> paths of the images below it.
        of_gallery: they have to be people, and may not be groups, as classes may.

    Raises:
        InputError: it is; the message suggests another folder.
    """
    above = [folder for folder in images if _holds_folders_alone(images[folder])]
    ours = [folder for folder in above if _is_written_by_us(folder)]
    names = [os.fsdecode(os.path.basename(folder)) for folder in images]
    if ours:
        name = os.fsdecode(os.path.basename(ours[0]))
        raise InputError(
            f"{path}: its folder {name} contains folders of people, not images of one person: a "
            f"tool of tfface wrote into it. Give {path / name}"
        )
    if too_high := one_level_too_high(path, images):
        raise InputError(too_high)
    if not all(_is_no_person(name, of_gallery) for name in names):
        return
    holding = {folder: found for folder, found in images.items() if _holds_mostly_folders(found)}
    if holding:
        more = ", ..." if len(names) > _MOST_NAMED else ""
        kinds = "parts of a dataset or groups" if of_gallery else "parts of a dataset"
        raise InputError(
            f"{path}: its folders ({', '.join(names[:_MOST_NAMED])}{more}) contain folders and "
            f"are named like {kinds}, not like people. The path is probably one level "
            f"too high: give one of them, such as {_likely(path, holding)}"
        )


def one_level_too_high(path: Path, images: Mapping[bytes, Sequence[bytes]]) -> str | None:
    """Says that a folder holds one folder, and that one the people; None if it doesn't.

    Args:
        path, images: as for `check_folder_level`.
    """
    if len(images) != 1:
        return None
    [(outermost, listed)] = images.items()
    if not _holds_folders_alone(listed):
        return None
    name = os.fsdecode(os.path.basename(outermost))
    folder, below = _down_to_people(path / name, listed)
    # A person's folder may contain one folder, but not one of the same name.
    chain = [os.path.basename(os.path.abspath(path)), *folder.relative_to(path).parts]
    is_doubled = any(outer == inner for outer, inner in itertools.pairwise(chain))
    if not is_doubled and len(_folders(below)) <= 1:
        return None
    return (
        f"{path}: contains one folder, {name}, with folders in it, so all images would belong to "
        f"one person. The path is probably one level too high: give {folder}"
    )


def _folders(images: Iterable[bytes]) -> set[bytes]:
    return {image.split(b"/", 1)[0] for image in images if b"/" in image}


def _holds_folders_alone(images: Sequence[bytes]) -> bool:
    return bool(_folders(images)) and not _num_loose(images)


def _holds_mostly_folders(images: Sequence[bytes]) -> bool:
    """Whether a folder has more folders than images next to them, which may be stray files."""
    return len(_folders(images)) > _num_loose(images)


def _num_loose(images: Iterable[bytes]) -> int:
    own = os.fsencode(CONTACT_SHEET_FILE)
    return sum(b"/" not in image and image != own for image in images)


def _is_written_by_us(folder: bytes) -> bool:
    return any(os.path.isfile(os.path.join(folder, file)) for file in _OUR_FILES)


def _is_no_person(name: str, of_gallery: bool) -> bool:
    words = re.findall(r"[a-z]+", name.lower())
    whole_names = _STATES | _GROUPS if of_gallery else _STATES
    return bool(words) and (
        any(word in _PARTS for word in words) or all(word in whole_names for word in words)
    )


def _likely(path: Path, images: Mapping[bytes, Sequence[bytes]]) -> Path:
    """Returns the folder that the user probably means, such as that of the training images."""
    names = {os.fsdecode(os.path.basename(folder)): folder for folder in images}
    wanted = ("train", "aligned", "faces", "")
    name = next(name for word in wanted for name in sorted(names) if word in name.lower())
    return _down_to_people(path / name, images[names[name]])[0]


def _down_to_people(folder: Path, images: Sequence[bytes]) -> tuple[Path, Sequence[bytes]]:
    """Descends as long as there is only one folder, which contains folders.

    Args:
        folder: the start.
        images: below `folder`.

    Returns:
        The folder that is reached, and the images below it.
    """
    while _holds_folders_alone(images) and len(found := _folders(images)) == 1:
        inside = [image.split(b"/", 1)[1] for image in images if b"/" in image]
        if not _holds_folders_alone(inside):
            break
        folder, images = folder / os.fsdecode(found.pop()), inside
    return folder, images


def check_people(path: Path) -> None:
    """Checks quickly, and without warnings, that a folder has photos in folders of people.

    A folder that may be of another format is left to who opens it: one with other files than
    images, one that holds no image at all but files, and one with folders as deep as K-Face's.

    Raises:
        InputError: as `list_people` with `skip_unusable`.
    """
    if not path.is_dir() or any(
        entry.is_file() and not is_image(entry) for entry in visible_entries(os.fsencode(path))
    ):
        return
    others: list[bytes] = []
    images = {
        folder: [*_images_below(folder, others, _is_listed)]
        for folder in _identity_folders(path, _is_listed)
    }
    found = [image for listed in images.values() for image in listed]
    if not found and not others:
        raise InputError(f"{path}: no image ({FORMATS}) in its folders")
    if any(image.count(b"/") < _KFACE_LEVELS for image in found):
        check_folder_level(path, images, of_gallery=True)
    _by_name(images)


def list_people(path: Path, *, skip_unusable: bool = False) -> dict[str, list[bytes]]:
    """Lists the images of each person.

    Args:
        path: the folder.
        skip_unusable: for photos as people keep them: leave out folders without images, with a
            warning, list images that can't be read as well, and only warn where each folder holds
            folders alone. Else they are errors, as `FolderSource` says, but for the last.

    Returns:
        Name -> paths below `path`, in the order of the names' bytes, and of the paths' bytes in
        each folder.

    Raises:
        InputError: `path` is no folder, can't be listed, contains images directly or no folder of
            images, or is one level above the people.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("ann", "bob"):
        ...         Path(folder, name).mkdir()
        ...         _ = Path(folder, name, "1.png").write_bytes(b"")
        ...     list_people(Path(folder))
        {'ann': [b'ann/1.png'], 'bob': [b'bob/1.png']}
    """
    if not path.is_dir():
        raise InputError(not_there(path, "folder"))
    others: list[bytes] = []
    is_listed = _is_listed if skip_unusable else _is_image
    folders = _identity_folders(path, is_listed)
    images = {
        folder: sorted(_images_below(folder, others, is_listed))
        for folder in progress(folders, description="listing", unit="identities")
    }
    check_folder_level(path, images, of_gallery=skip_unusable)
    found: dict[str, list[bytes]] = {}
    empty = []
    for name, of_person in _by_name(images).items():
        listed = [
            os.path.join(os.path.basename(folder), image)
            for folder in of_person
            for image in images[folder]
        ]
        if listed:
            found[name] = listed
        else:
            empty.append(os.fsdecode(of_person[0]))
    if empty and not (skip_unusable and found):
        raise InputError(
            f"{empty[0]}: an identity without any image ({FORMATS}): remove the folder, or give it "
            "images"
        )
    if empty:
        more = f", and {len(empty) - 1:,} more folders" if len(empty) > 1 else ""
        warn(f"{empty[0]}: no image ({FORMATS}) in it{more}: left out")
    if skip_unusable:
        _warn_of_level(path, images)
    _warn_about_others(path, others)
    return found


def _identity_folders(path: Path, is_listed: Callable[[os.DirEntry], bool]) -> list[bytes]:
    folders, images = [], []
    for entry in visible_entries(os.fsencode(path)):
        _check_link(entry)
        if entry.is_dir():
            folders.append(entry.path)
        elif is_listed(entry):
            images.append(os.fsdecode(entry.name))
    if images:
        raise InputError(
            f"{path}: contains images directly (for example {min(images)}; {len(images)} in all), "
            "so their identities are unknown: give each identity a folder of its own"
        )
    if not folders:
        what = "has no sub-folders" if os.listdir(path) else "is empty"
        raise InputError(f"{path}: {what}; one folder per identity is expected")
    return sorted(folders)


def _by_name(folders: Iterable[bytes]) -> dict[str, list[bytes]]:
    """Returns the folders of each identity, in the order of the names' bytes."""
    found: dict[str, list[bytes]] = {}
    for folder in folders:
        try:
            name = clean_name(os.fsdecode(os.path.basename(folder)))
        except InputError as error:
            raise InputError(f"{os.fsdecode(os.path.dirname(folder))}: {error}") from None
        found.setdefault(name, []).append(folder)
    return {name: found[name] for name in sorted(found, key=os.fsencode)}


def images_below(folder: bytes) -> list[bytes]:
    """Returns the relative paths of the images below a folder, in any order.

    Raises:
        InputError: an image is of a format that can't be read, or a link leads nowhere or to a
            folder that it lies in.
    """
    return list(_images_below(folder, [], _is_image))


def _images_below(
    folder: bytes, others: list[bytes], is_listed: Callable[[os.DirEntry], bool]
) -> Iterator[bytes]:
    """As `images_below`; adds the paths of other files to `others`."""
    start = len(os.path.join(folder, b""))
    for entry in files_below(folder):
        if is_listed(entry):
            yield entry.path[start:]
        else:
            others.append(entry.path)


def _warn_of_level(path: Path, images: Mapping[bytes, Sequence[bytes]]) -> None:
    """Warns where all folders hold folders alone, with other names: they may be the people."""
    holding = {folder: _folders(found) for folder, found in images.items() if found}
    inner = [name for names in holding.values() for name in names]
    if (
        all(_holds_folders_alone(images[folder]) for folder in holding)
        # The same camera or year of several people.
        and len(set(inner)) == len(inner)
        and len(inner) > len(holding)
    ):
        names = [os.fsdecode(os.path.basename(folder)) for folder in holding]
        warn(
            f"{path}: {', '.join(names[:_MOST_NAMED])}{', ...' if len(names) > _MOST_NAMED else ''}"
            " hold only folders, and each is taken for one person; did you mean "
            f"{path / names[0]}?"
        )


def _check_link(entry: os.DirEntry) -> None:
    """Raises InputError: a dead link, whose target is not known."""
    if entry.is_symlink() and not os.path.exists(entry.path):
        raise InputError(f"{os.fsdecode(entry.path)}: a link that leads nowhere")


def _is_image(entry: os.DirEntry) -> bool:
    """Whether a file is an image. Raises InputError: an unsupported format, or a dead link."""
    _check_link(entry)
    if not is_image(entry):
        return False
    if not entry.is_file():
        raise InputError(f"{os.fsdecode(entry.path)}: no regular file")
    ending = extension(entry.name)
    if ending not in EXTENSIONS:
        if ending in UNREAD_EXTENSIONS:
            kind = ending[1:]
        else:
            kind = "HEIC" if ending in HEIC_EXTENSIONS else kind_of_file(entry.path)
        if ending in UNREAD_EXTENSIONS or not is_read(kind):
            advice = HEIC_ADVICE if kind == "HEIC" else "convert it to PNG or JPEG"
            raise InputError(
                f"{os.fsdecode(entry.path)}: {kind} images can't be read: {advice}, or remove it"
            )
    return True


def _is_listed(entry: os.DirEntry) -> bool:
    """Whether a file is an image, be it one that can't be read. Raises InputError: a pipe."""
    if not is_image(entry):
        return False
    if os.path.exists(entry.path) and not entry.is_file():
        raise InputError(f"{os.fsdecode(entry.path)}: no regular file")
    return True


def _warn_about_others(path: Path, others: list[bytes]) -> None:
    if others:
        kinds = Counter(extension(os.path.basename(other)) or "no ending" for other in others)
        named = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(_MOST_NAMED))
        example = os.path.relpath(os.fsdecode(min(others)), path)
        warn(
            f"{path}: {len(others):,} files in people's folders are not images and are ignored: "
            f"{named}{', ...' if len(kinds) > _MOST_NAMED else ''} (for example {example})"
        )
