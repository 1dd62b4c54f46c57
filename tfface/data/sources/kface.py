"""K-Face, the Korean face dataset of AI Hub, in its original folders."""

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from tfface.data.records.manifest import Identity
from tfface.data.sources.image_files import ImageFiles
from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError
from tfface.files import os_errors
from tfface.images.decoding import decode_picture, undecodable_reason
from tfface.images.listing import EXTENSIONS, visible_entries
from tfface.paths import not_there
from tfface.progress import progress

# Attributes of the levels of folders, from outer to inner, and the pattern of their names.
_LEVELS = {
    "accessory": re.compile(r"S\d{3}"),
    "light": re.compile(r"L\d{1,3}"),
    "expression": re.compile(r"E\d{2}"),
    "pose": re.compile(r"C\d{1,3}"),
}
_RESOLUTIONS = ("high", "middle", "low")
# Lines of landmarks in an image's text file, before the line of the face's box.
_NUM_POINTS = 7
_LONGEST_TEXT = 10_000
_MOST_LOOKED_AT = 3


class _Image(NamedTuple):
    """An image: its path below the subject's folder, and the attributes in its path."""

    path: bytes
    levels: tuple[str, ...]
    has_text: bool


class KFaceSource(ImageFiles):
    """K-Face: images at SUBJECT/S001/L1/E01/C1.jpg.

    Accessory, light, expression and pose are attributes. Subjects are sorted by the bytes of their
    names, and their images by the numbers in their paths. Hidden files and `.txt` files are
    ignored; any other unexpected file is an error.

    A text file next to an image, C1.txt, has a line with x and y for each of 7 landmarks (nose,
    eyes, corners of the mouth, ears), and lines with x, y, width and height of boxes, of which the
    first is that of the face, in pixels. K-Face has such files for S001 with L1, L3, L6 and L7.

    Args:
        path: the folder of subjects, or that of High, Middle and Low (or High_Resolution, ...).
        resolution: which of these folders to read; by default the only one, else high.
        crop: `box` crops the face's box, as far as it is inside the image, and stores it as PNG,
            which is lossless.
        on_missing_box: what to do, when they are to be cut, with images that have no text file:
            `error`, or `skip` to leave them out, which `left_out` then tells.
        name: the source's name in `Identity.source`; by default the name of the folder.

    Raises:
        InputError: no such folder; a file doesn't fit; a subject has no images; no box.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     image = Path(folder, "19062421", "S001", "L1", "E01", "C1.png")
        ...     image.parent.mkdir(parents=True)
        ...     Image.new("RGB", (32, 32)).save(image)
        ...     source = KFaceSource(Path(folder))
        >>> source.identities[0].name, source.attribute("pose").tolist()
        ('19062421', ['C1'])
    """

    def __init__(
        self,
        path: Path,
        resolution: Literal["high", "middle", "low"] | None = None,
        crop: Literal["none", "box"] = "none",
        on_missing_box: Literal["error", "skip"] = "error",
        *,
        name: str | None = None,
    ):
        path = Path(path)
        if not path.is_dir():
            raise InputError(not_there(path, "folder"))
        self.name = name or path.resolve().name
        self._crop = crop
        root = _find_subjects(path, resolution)
        self.identities: list[Identity] = []
        paths: list[bytes] = []
        attributes: dict[str, list[str]] = {level: [] for level in _LEVELS}
        counts = []
        without: list[bytes] = []
        num_emptied = 0
        for folder in progress(_subjects(root), description="listing", unit="identities"):
            images = sorted(_images_below(folder), key=_numbers)
            if not images:
                raise InputError(f"{os.fsdecode(folder)}: an identity without any image")
            if crop == "box":
                without += [
                    os.path.join(folder, image.path) for image in images if not image.has_text
                ]
                images = [image for image in images if image.has_text]
                num_emptied += not images
            if not images:
                continue
            subject = os.path.basename(folder)
            self.identities.append(Identity(os.fsdecode(subject), self.name))
            counts.append(len(images))
            for image in images:
                paths.append(os.path.join(subject, image.path))
                for values, text in zip(attributes.values(), image.levels, strict=True):
                    # Interned, because the same few texts are repeated.
                    values.append(sys.intern(text))
        if without and on_missing_box == "error":
            raise InputError(
                f"{os.fsdecode(without[0])}: has no text file with a box beside it, as "
                f"{len(without)} images haven't: to leave such images out, set on_missing_box: skip"
            )
        if not counts:
            raise InputError(f"{root}: no image has a text file with a box beside it")
        if without:
            self.left_out = [("no text file with a box", num_emptied, len(without))]
        self.labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        self._set_files(
            root, paths, {level: np.array(texts, object) for level, texts in attributes.items()}
        )

    @cached_property
    def fingerprint(self) -> str:
        """As for all image files; with cropping, also of the text files."""
        if self._crop == "none":
            return super().fingerprint
        digest = hashlib.sha256(super().fingerprint.encode())
        for index in range(self.num_images):
            path = self._text_path(index)
            try:
                stat = os.stat(path)
            except OSError as error:
                raise InputError(
                    f"{os.fsdecode(path)}: can't be read: {error.strerror or error}"
                ) from error
            digest.update(b"%d\0%d\0" % (stat.st_size, stat.st_mtime_ns))
        return digest.hexdigest()

    def encoded(
        self, indices: np.ndarray, shuffle_seed: int | None = None, first: int = 0
    ) -> tf.data.Dataset:
        if self._crop == "none":
            return super().encoded(indices, shuffle_seed, first)
        # By `read`, which crops.
        return ImageSource.encoded(self, indices, shuffle_seed, first)

    def _read_file(self, index: int) -> bytes:
        encoded = super()._read_file(index)
        if self._crop == "none":
            return encoded
        x, y, width, height = _read_box(self._text_path(index))
        try:
            image = decode_picture(encoded)
        except tf.errors.InvalidArgumentError:
            raise InputError(f"{self.filename(index)}: {undecodable_reason(encoded)}") from None
        face = image[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]
        if not face.size:
            raise InputError(
                f"{os.fsdecode(self._text_path(index))}: the face's box ({x}, {y}, {width}, "
                f"{height}) lies outside of the image, {image.shape[1]} x {image.shape[0]} pixels"
            )
        return tf.io.encode_png(face).numpy()

    def _text_path(self, index: int) -> bytes:
        return os.path.join(self._root, os.path.splitext(self._paths[index])[0] + b".txt")


def is_kface(path: Path) -> bool:
    """Whether `path` is in the format of `KFaceSource`; checks a few entries only."""
    if not path.is_dir():
        return False
    try:
        folders = [*_resolutions_in(path).values(), path]
        return any(_fits(os.fsencode(folder), 0) for folder in folders)
    except InputError:
        return False


def _fits(folder: bytes, depth: int) -> bool:
    """Whether one of the first entries leads to an image; `depth` is that of the folder."""
    for entry in visible_entries(folder)[:_MOST_LOOKED_AT]:
        if depth == 0 or _level_matches(depth - 1, entry):
            if depth == len(_LEVELS):
                return True
            if entry.is_dir() and _fits(entry.path, depth + 1):
                return True
    return False


def _level_matches(level: int, entry: os.DirEntry) -> bool:
    """Whether an entry of a folder has the name and type of its level."""
    name = os.fsdecode(entry.name)
    if level == len(_LEVELS) - 1:
        name, extension = os.path.splitext(name)
        if extension.lower() not in EXTENSIONS or not entry.is_file():
            return False
    elif not entry.is_dir():
        return False
    return list(_LEVELS.values())[level].fullmatch(name) is not None


def _find_subjects(path: Path, resolution: str | None) -> Path:
    """Returns the folder of subjects: `path`, or that of a resolution in it."""
    found = _resolutions_in(path)
    if not found:
        if resolution is not None:
            raise InputError(f"{path}: has no folder of {resolution} resolution")
        return path
    if resolution is None:
        resolution = "high" if len(found) > 1 else next(iter(found))
    if resolution not in found:
        raise InputError(
            f"{path}: has no folder of {resolution} resolution, but of: {', '.join(found)}"
        )
    return found[resolution]


def _resolutions_in(path: Path) -> dict[str, Path]:
    """Returns the existing folders of resolutions."""
    found = {}
    for entry in visible_entries(os.fsencode(path)):
        name = os.fsdecode(entry.name).lower().removesuffix("_resolution")
        if name in _RESOLUTIONS and entry.is_dir():
            if name in found:
                raise InputError(f"{path}: has two folders of {name} resolution")
            found[name] = path / os.fsdecode(entry.name)
    return found


def _subjects(root: Path) -> list[bytes]:
    folders = []
    for entry in visible_entries(os.fsencode(root)):
        if entry.is_dir():
            folders.append(entry.path)
        elif not _is_text(entry):
            raise InputError(f"{os.fsdecode(entry.path)}: is no folder of a subject")
    if not folders:
        raise InputError(f"{root}: has no sub-folders; one folder per subject is expected")
    return sorted(folders)


def _images_below(folder: bytes, levels: tuple[str, ...] = ()) -> Iterator[_Image]:
    """Yields the images of a subject, or of one of its folders."""
    entries = visible_entries(folder)
    texts = {os.path.splitext(entry.name)[0] for entry in entries if _is_text(entry)}
    for entry in entries:
        if _is_text(entry):
            continue
        if not _level_matches(len(levels), entry):
            raise InputError(
                f"{os.fsdecode(entry.path)}: doesn't fit into K-Face: its images are at paths like "
                "SUBJECT/S001/L1/E01/C1.jpg"
            )
        stem = os.path.splitext(entry.name)[0]
        here = (*levels, os.fsdecode(stem))
        if len(here) == len(_LEVELS):
            yield _Image(entry.name, here, stem in texts)
        else:
            for image in _images_below(entry.path, here):
                yield image._replace(path=os.path.join(entry.name, image.path))


def _is_text(entry: os.DirEntry) -> bool:
    return entry.name.lower().endswith(b".txt")


def _numbers(image: _Image) -> tuple:
    # The path as a tie-break between C1.jpg and C1.png.
    return (*(int(text[1:]) for text in image.levels), image.path)


def _read_box(path: bytes) -> tuple[int, int, int, int]:
    """Returns x, y, width and height of the face's box."""
    shown = os.fsdecode(path)
    with os_errors(shown), open(path, "rb") as file:
        lines = file.read(_LONGEST_TEXT).splitlines()
    numbers = [_integers(line) for line in lines[: _NUM_POINTS + 1]]
    lengths = [len(found) for found in numbers]
    if lengths != [2] * _NUM_POINTS + [4] or min(numbers[-1][2:]) <= 0:
        raise InputError(
            f"{shown}: expected {_NUM_POINTS} lines with x and y of a point, and then a line with "
            "x, y, width and height of the face's box"
        )
    return numbers[-1]


def _integers(line: bytes) -> tuple[int, ...]:
    """Returns the integers of a line, separated by spaces, tabs, commas or semicolons; else ()."""
    words = re.split(rb"[ \t,;]+", line.strip())
    if not all(re.fullmatch(rb"-?[0-9]{1,6}", word) for word in words):
        return ()
    return tuple(map(int, words))
