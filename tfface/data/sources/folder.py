"""A folder of images with a sub-folder for each identity."""

import itertools
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfface.data.records.manifest import Identity
from tfface.data.sources.image_files import ImageFiles
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
from tfface.names import clean_name, warn_of_case
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
_MOST_NAMED = 5


def check_folder_level(path: Path, images: Mapping[bytes, Sequence[bytes]]) -> None:
    """Checks that a folder is not one level above the folders of identities.

    Folders in a person's folder are allowed (a year, a camera; or people, if folders are classes),
    so only certain cases are errors.

    Args:
        path: the folder.
        images: sub-folder -> paths of the images below it.

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
    if len(images) == 1 and above:
        folder, below = _down_to_people(path / names[0], images[above[0]])
        # A person's folder may contain one folder, but not one of the same name.
        chain = [os.path.basename(os.path.abspath(path)), *folder.relative_to(path).parts]
        is_doubled = any(outer == inner for outer, inner in itertools.pairwise(chain))
        if is_doubled or len(_folders(below)) > 1:
            raise InputError(
                f"{path}: contains one folder, {names[0]}, with folders in it, so all images would "
                f"belong to one person. The path is probably one level too high: give {folder}"
            )
    if not all(map(_is_no_person, names)):
        return
    holding = {folder: found for folder, found in images.items() if _holds_mostly_folders(found)}
    if holding:
        more = ", ..." if len(names) > _MOST_NAMED else ""
        raise InputError(
            f"{path}: its folders ({', '.join(names[:_MOST_NAMED])}{more}) contain folders and "
            "are named like parts of a dataset, not like people. The path is probably one level "
            f"too high: give one of them, such as {_likely(path, holding)}"
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


def _is_no_person(name: str) -> bool:
    words = re.findall(r"[a-z]+", name.lower())
    return bool(words) and (
        any(word in _PARTS for word in words) or all(word in _STATES for word in words)
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


# The attribute with the name of an image's folder below that of its identity.
SUBFOLDER = "subfolder"


class FolderSource(ImageFiles):
    """A folder with a sub-folder for each identity, which contains its images at any depth.

    Identities, and the images of each, are sorted by the bytes of their names. The name of an
    identity is that of the folder, normalized by `names.clean_name`; folders with equal names are
    one identity. Images are recognized by their suffix or by their content. Hidden files and
    folders, those of the system (`@eaDir`, `Thumbs.db`) and contact sheets of tools are ignored;
    other files are ignored with a warning. Symbolic links are followed. No image is ignored
    silently: an image directly in `path`, an unsupported format, a dead link, and an identity
    without images are errors, and so is a folder one level above the identities.

    If images are in sub-folders of an identity's folder, the attribute `subfolder` has the name of
    the uppermost one, or "".

    Args:
        path: the folder.
        name: the source's name in `Identity.source`; by default the name of the folder.

    Raises:
        InputError: as said above; `path` is no folder, or can't be read.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("ann", "bob"):
        ...         Path(folder, name).mkdir()
        ...         Image.new("RGB", (32, 32)).save(Path(folder, name, "1.png"))
        ...     source = FolderSource(Path(folder))
        >>> [identity.name for identity in source.identities], source.filename(1)
        (['ann', 'bob'], 'bob/1.png')
    """

    def __init__(self, path: Path, *, name: str | None = None):
        path = Path(path)
        if not path.is_dir():
            raise InputError(f"{path}: no such folder")
        self.name = name or path.resolve().name
        self.identities: list[Identity] = []
        paths: list[bytes] = []
        counts = []
        others: list[bytes] = []
        folders = _identity_folders(path)
        images = {
            folder: sorted(_images_below(folder, others))
            for folder in progress(folders, description="listing", unit="identities")
        }
        check_folder_level(path, images)
        for name, of_identity in _by_name(images).items():
            found = []
            for folder in of_identity:
                start = os.path.join(os.path.basename(folder), b"")
                found += [start + image for image in images[folder]]
            if not found:
                raise InputError(
                    f"{os.fsdecode(of_identity[0])}: an identity without any image ({FORMATS}): "
                    "remove the folder, or give it images"
                )
            self.identities.append(Identity(name, self.name))
            paths += found
            counts.append(len(found))
        warn_of_case((identity.name for identity in self.identities), str(path))
        _warn_about_others(path, others)
        self.labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        self._set_files(path, paths, _subfolders(paths))


def _identity_folders(path: Path) -> list[bytes]:
    folders, images = [], []
    for entry in visible_entries(os.fsencode(path)):
        _check_link(entry)
        if entry.is_dir():
            folders.append(entry.path)
        elif _is_image(entry):
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
    return list(_images_below(folder, []))


def _images_below(folder: bytes, others: list[bytes]) -> Iterator[bytes]:
    """As `images_below`; adds the paths of other files to `others`."""
    start = len(os.path.join(folder, b""))
    for entry in files_below(folder):
        if _is_image(entry):
            yield entry.path[start:]
        else:
            others.append(entry.path)


def _subfolders(paths: list[bytes]) -> dict[str, np.ndarray]:
    """Returns the attribute of the images' paths, IDENTITY/IMAGE or IDENTITY/SUBFOLDER/.../IMAGE.

    It is left out where no image lies in a sub-folder.
    """
    # The same few texts come again and again.
    found = [
        sys.intern(os.fsdecode(parts[1])) if len(parts := path.split(b"/", 2)) == 3 else ""
        for path in paths
    ]
    return {SUBFOLDER: np.array(found, object)} if any(found) else {}


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


def _warn_about_others(path: Path, others: list[bytes]) -> None:
    if others:
        kinds = Counter(extension(os.path.basename(other)) or "no ending" for other in others)
        named = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(_MOST_NAMED))
        example = os.path.relpath(os.fsdecode(min(others)), path)
        warn(
            f"{path}: {len(others):,} files in people's folders are not images and are ignored: "
            f"{named}{', ...' if len(kinds) > _MOST_NAMED else ''} (for example {example})"
        )
