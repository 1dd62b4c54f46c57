"""Template sets: verification of sets of images, in the layout of InsightFace's IJB-B and IJB-C.

    meta/NAME_face_tid_mid.txt         "IMAGE TEMPLATE MEDIUM", a line for each image of a template
    meta/NAME_template_pair_label.txt  "TEMPLATE TEMPLATE LABEL", 1 for a genuine pair, else 0
    meta/NAME_name_5pts_score.txt      "IMAGE X1 Y1 .. X5 Y5 SCORE", landmarks and detection score
                                       of each face; optional
    loose_crop/                        the images

With landmarks, the images are photos with faces to align; without, they are aligned faces.
"""

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from tfface.alignment.template import align_face
from tfface.data.int_table import line_number, read_number_lines
from tfface.data.pairs.pair_set import FileImages
from tfface.errors import InputError
from tfface.files import os_errors
from tfface.images.decoding import decode_picture, undecodable_reason
from tfface.metrics.roc import check_labels
from tfface.text_file import open_text


class AlignedFaces(Sequence):
    """Faces that are aligned on access, encoded as BMP, which is fast and lossless.

    Access raises InputError if an image can't be read or decoded.

    Args:
        files: the images.
        landmarks: float [files, 5, 2], (x, y) in pixels.
        height, width: of an aligned face.

    Example:
        >>> import tempfile
        >>> from tfface.alignment.template import template_points
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (112, 112)).save(file := Path(folder, "1.png"))
        ...     faces = AlignedFaces([file], np.array([template_points(112, 112)]), 112, 112)
        ...     encoded = faces[0]
        >>> len(faces), encoded[:2]
        (1, b'BM')
    """

    def __init__(self, files: Sequence[Path], landmarks: np.ndarray, height: int, width: int):
        self._files = files
        self._images = FileImages(files)
        self._landmarks = landmarks
        self._size = height, width

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> bytes:
        encoded = self._images[index]
        try:
            photo = Image.fromarray(decode_picture(encoded))
        except tf.errors.InvalidArgumentError:
            raise InputError(f"{self._files[index]}: {undecodable_reason(encoded)}") from None
        written = io.BytesIO()
        align_face(photo, self._landmarks[index], *self._size).save(written, "BMP")
        return written.getvalue()


@dataclass(frozen=True)
class TemplateSet:
    """Pairs of templates (sets of images of a person), each genuine or impostor.

    An entry assigns an image to a template and to a medium: a photo, or a video with several
    frames.

    Attributes:
        name: in tables and file names.
        files: the distinct images.
        landmarks: float32 [num_images, 5, 2], (x, y) in pixels, in the order of
            `face_template.LANDMARK_NAMES`; None if the images are aligned already.
        scores: float32 [num_images], detection scores >= 0; None if unknown.
        entry_image, entry_template: int32 [num_entries], indices of image and template.
        entry_medium: int32 [num_entries], numbers of media, which are local to a template.
        template_numbers: int32 [num_templates], the sorted numbers in the files.
        first, second: int32 [num_pairs], indices of templates.
        is_genuine: bool [num_pairs].
    """

    name: str
    files: Sequence[Path]
    landmarks: np.ndarray | None
    scores: np.ndarray | None
    entry_image: np.ndarray
    entry_template: np.ndarray
    entry_medium: np.ndarray
    template_numbers: np.ndarray
    first: np.ndarray
    second: np.ndarray
    is_genuine: np.ndarray

    @property
    def image_names(self) -> list[str]:
        """The images' names for messages."""
        return [str(file) for file in self.files]

    def images(self) -> Sequence[bytes]:
        """Returns the original images, read on access."""
        return FileImages(self.files)

    def faces(self, height: int, width: int) -> Sequence[bytes]:
        """Returns encoded aligned faces, computed on access.

        Args:
            height, width: of a face that is aligned by landmarks.

        Returns:
            The faces; without landmarks, the original images.
        """
        if self.landmarks is None:
            return self.images()
        return AlignedFaces(self.files, self.landmarks, height, width)


_ENTRIES, _PAIRS, _POINTS = (
    "_face_tid_mid.txt",
    "_template_pair_label.txt",
    "_name_5pts_score.txt",
)
_IMAGES = "loose_crop"
_MAX_DIGITS = 9
_ENTRY_LINE = "an image, a template's number and a medium's number"
_PAIR_LINE = "the numbers of two templates, and 1 or 0"
_POINT_LINE = "an image, ten coordinates and a score of 0 or more"


def load_template_set(folder: Path, name: str) -> TemplateSet:
    """Reads a template set; images are not read, but must exist.

    Args:
        folder: contains `meta` and `loose_crop`.
        name: of the set.

    Returns:
        The template set.

    Raises:
        InputError: a file is missing or not as said above (the message gives the line), a pair's
            template has no images, an image has no points or is missing, or the pairs are of one
            kind.
    """
    entries = _find_entries(folder)
    stem = entries.name.removesuffix(_ENTRIES)
    pairs = entries.with_name(stem + _PAIRS)
    points = entries.with_name(stem + _POINTS)

    images, entry_image, templates, entry_medium = _read_entries(entries)
    template_numbers, entry_template = np.unique(templates, return_inverse=True)
    files = _find_images(folder / _IMAGES, entries, list(images))
    landmarks, scores = _read_points(points, images) if points.exists() else (None, None)
    first, second, is_genuine = _read_pairs(pairs, template_numbers)
    return TemplateSet(
        name=name,
        files=files,
        landmarks=landmarks,
        scores=scores,
        entry_image=entry_image,
        entry_template=entry_template.astype(np.int32),
        entry_medium=entry_medium,
        template_numbers=template_numbers,
        first=first,
        second=second,
        is_genuine=is_genuine,
    )


def _find_entries(folder: Path) -> Path:
    found = sorted(folder.glob(f"meta/*{_ENTRIES}"))
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(file.name for file in found)
        raise InputError(f"{folder}: holds several template sets ({names}): expected one")
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; a template set is one with meta/NAME{_ENTRIES}"
        )
    inner = sorted({file.parents[1].name for file in folder.glob(f"*/meta/*{_ENTRIES}")})
    hint = f"; give one of its folders: {', '.join(inner)}" if inner else ""
    raise InputError(f"{folder}: no template set: there is no meta/NAME{_ENTRIES} in it{hint}")


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields (line number, fields) of each line that is not empty."""
    with os_errors(path), open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if fields := line.split():
                yield number, fields


def _bad_line(path: Path, number: int, expected: str, fields: list[str]) -> InputError:
    return InputError(f"{path}, line {number}: expected {expected}; got '{' '.join(fields)[:80]}'")


def _read_entries(path: Path) -> tuple[dict[str, int], np.ndarray, np.ndarray, np.ndarray]:
    """Returns name -> index of images; and image, template and medium of each entry."""
    images: dict[str, int] = {}
    entries = []
    for number, fields in _lines(path):
        if len(fields) != 3 or not all(
            field.isdecimal() and len(field) <= _MAX_DIGITS for field in fields[1:]
        ):
            raise _bad_line(path, number, _ENTRY_LINE, fields)
        image = images.setdefault(fields[0], len(images))
        entries.append((image, int(fields[1]), int(fields[2])))
    if not entries:
        raise InputError(f"{path}: lists no images")
    return images, *np.array(entries, np.int32).T.copy()


def _find_images(folder: Path, entries: Path, images: list[str]) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; it should hold the images of {entries.name}")
    root = os.path.join(os.path.abspath(folder), "")
    listed = set(os.listdir(folder))
    missing = []
    for image in images:
        # Checked as text, because links inside the folder may lead out of it.
        if not os.path.normpath(os.path.join(root, image)).startswith(root) or "\0" in image:
            raise InputError(f"{entries}: '{image[:200]}' is not below {folder}")
        if image not in listed and not os.path.isfile(os.path.join(root, image)):
            missing.append(image)
    if missing:
        raise InputError(
            f"{entries}: {len(missing):,} of {len(images):,} images are missing under {folder}, "
            f"the first is {missing[0]}"
        )
    return [folder / image for image in images]


def _read_points(path: Path, images: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns landmarks and score of each image; lines of other images are ignored."""
    values = np.full((len(images), 11), np.nan)
    for number, fields in _lines(path):
        try:
            row = [float(field) for field in fields[1:]]
        except ValueError:
            row = []
        if len(row) != 11 or not np.isfinite(row).all() or row[-1] < 0:
            raise _bad_line(path, number, _POINT_LINE, fields)
        if len(set(zip(row[0:10:2], row[1:10:2], strict=True))) == 1:
            raise InputError(
                f"{path}, line {number}: the points of {fields[0]} are all in one place"
            )
        image = images.get(fields[0])
        if image is not None:
            if np.isfinite(values[image, 0]):
                raise InputError(
                    f"{path}, line {number}: {fields[0]} had its points in a line before"
                )
            values[image] = row
    without = np.isnan(values[:, 0])
    if without.any():
        names = list(images)
        raise InputError(
            f"{path}: {np.count_nonzero(without):,} of {len(images):,} images have no points, the "
            f"first is {names[int(np.argmax(without))]}"
        )
    values = values.astype(np.float32)
    return values[:, :10].reshape(-1, 5, 2), values[:, 10]


def _read_pairs(
    path: Path, template_numbers: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first, second, labels = read_number_lines(path, 3, _PAIR_LINE)
    if not len(labels):
        raise InputError(f"{path}: lists no pairs")
    if (wrong := labels > 1).any():
        pair = int(np.argmax(wrong))
        given = [str(column[pair]) for column in (first, second, labels)]
        raise _bad_line(path, line_number(path, pair), _PAIR_LINE, given)
    is_genuine = labels == 1
    try:
        check_labels(is_genuine)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return *(
        _template_indices(path, column, template_numbers) for column in (first, second)
    ), is_genuine


def _template_indices(path: Path, numbers: np.ndarray, template_numbers: np.ndarray) -> np.ndarray:
    """Returns indices of templates, int32 [pairs]."""
    largest = int(template_numbers[-1])
    if largest <= 10 * len(template_numbers) + (1 << 20):
        position = np.full(largest + 2, -1, np.int32)
        position[template_numbers] = np.arange(len(template_numbers))
        found = position.take(np.minimum(numbers, largest + 1))
    else:
        found = np.searchsorted(template_numbers, numbers).astype(np.int32)
        known = template_numbers[np.minimum(found, len(template_numbers) - 1)] == numbers
        found[~known] = -1
    if (unknown := found < 0).any():
        pair = int(np.argmax(unknown))
        raise InputError(
            f"{path}, line {line_number(path, pair)}: template {numbers[pair]} has no images "
            f"({np.count_nonzero(unknown):,} such lines)"
        )
    return found
