"""From one photo in memory to its aligned faces."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from tfface.alignment.faces import Detector, Face, by_importance, find_faces, why_unusable
from tfface.alignment.photos import check_one_photo, read_one_photo, read_photo_file
from tfface.alignment.template import align_face, is_aligned
from tfface.errors import InputError
from tfface.images.decoding import resize
from tfface.images.pillow_decoder import read_image, read_opened
from tfface.paths import expanded

# A path, the bytes of an image file, RGB pixels uint8 [height, width, 3], or an image of Pillow.
Photo: TypeAlias = str | os.PathLike[str] | bytes | np.ndarray | Image.Image

# Why `align_photo` returns no face; `tfface align` says which of these it is.
NO_FACE = "no usable face found (none, or too small, unclear or cut off by the edge)"


@dataclass(frozen=True, repr=False)
class AlignedFace:
    """A face that was found in a photo and aligned.

    Attributes:
        image: the aligned face, uint8 [height, width, 3], RGB.
        box: left, top, right, bottom in pixels of the photo, float64 [4]; it may reach beyond the
            photo's edges.
        landmarks: float64 [5, 2], (x, y) in pixels of the photo: the eyes, the nose and the corners
            of the mouth, of eyes and corners the left one in the picture first.
        confidence: of the detector, 0..1.
    """

    image: np.ndarray
    box: np.ndarray
    landmarks: np.ndarray
    confidence: float

    def __repr__(self) -> str:
        left, top, right, bottom = (round(float(edge)) for edge in self.box)
        height, width, _ = self.image.shape
        return (
            f"AlignedFace({width}x{height} pixels, box=({left}, {top}, {right}, {bottom}), "
            f"confidence={self.confidence:.3f})"
        )

    def _repr_png_(self) -> bytes:
        return self.encode()

    def encode(self) -> bytes:
        """Returns the aligned face as a PNG."""
        return _png(Image.fromarray(self.image))


def open_photo(photo: Photo, in_memory: str = "the photo") -> Image.Image:
    """Reads a photo, turned upright as its Exif tag says.

    Args:
        photo: see `Photo`.
        in_memory: as for `photo_name`.

    Returns:
        The photo in RGB.

    Raises:
        InputError: it can't be read, or an array is not uint8 [height, width, 3].
    """
    if isinstance(photo, Image.Image):
        try:
            return read_opened(photo)
        except InputError as error:
            raise InputError(f"{in_memory}: {error}") from error
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
            raise InputError(
                f"a photo in memory must be uint8 [height, width, 3], RGB in 0..255; got "
                f"{photo.dtype} {list(photo.shape)}"
            )
        return Image.fromarray(photo)
    if isinstance(photo, bytes):
        try:
            return read_image(photo)
        except InputError as error:
            raise InputError(f"{in_memory}: {error}") from error
    return read_one_photo(_photo_path(photo))


def encode_photo(photo: Photo) -> bytes:
    """Returns a photo as the bytes of an image file; one that is a file stays as it is.

    Raises:
        InputError: as `open_photo`.
    """
    if isinstance(photo, bytes):
        return photo
    if isinstance(photo, np.ndarray | Image.Image):
        return _png(open_photo(photo))
    path = _photo_path(photo)
    check_one_photo(path)
    try:
        return read_photo_file(path)
    except InputError as error:
        raise InputError(f"{path}: can't be read: {error}") from error


def _photo_path(photo: str | os.PathLike[str]) -> Path:
    if not isinstance(photo, str | os.PathLike):
        raise InputError(
            "a photo must be a path, the bytes of an image file, an array of pixels or an image "
            f"of Pillow; got {type(photo).__name__}"
        )
    return expanded(photo)


def photo_name(photo: Photo, in_memory: str = "the photo") -> str:
    """Returns what messages call a photo: its path, or `in_memory` where it has none."""
    return os.fspath(photo) if isinstance(photo, str | os.PathLike) else in_memory


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    # Small faces: the least effort makes them hardly larger.
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def align_photo(
    detector: Detector,
    photo: Image.Image,
    *,
    image_size: tuple[int, int] = (112, 112),
    min_confidence: float = 0.9,
    min_size: int = 32,
    detection_size: int = 1024,
) -> list[AlignedFace]:
    """Finds the faces of a photo and aligns all that can be used.

    A picture that is an aligned face already is only resized.

    Args:
        detector: finds faces.
        photo: RGB, any size.
        image_size: (height, width) of an aligned face in pixels.
        min_confidence: faces of a lower confidence are omitted.
        min_size: faces whose box has a shorter side are omitted; so are those that the photo's edge
            cuts off.
        detection_size: photos with a longer side are shrunk to it for the search.

    Returns:
        The faces, the most important one first: large, and near the photo's center.
    """
    faces, _ = find_faces(
        detector, photo, min_confidence=min_confidence, longest_side=detection_size
    )

    confident = [face for face in faces if face.confidence >= min_confidence]
    if confident:
        main = by_importance(confident, photo.size)[0]
        if is_aligned(main.landmarks, photo.size):
            return [_as_it_is(photo, main, image_size)]

    def is_usable(face: Face) -> bool:
        return face.confidence >= min_confidence and not why_unusable(face, photo.size, min_size)

    return [
        AlignedFace(
            image=np.asarray(align_face(photo, face.landmarks, *image_size)),
            box=face.box,
            landmarks=face.landmarks,
            confidence=face.confidence,
        )
        for face in faces
        if is_usable(face)
    ]


def _as_it_is(photo: Image.Image, face: Face, image_size: tuple[int, int]) -> AlignedFace:
    """Returns the face of a picture that is aligned already."""
    return AlignedFace(
        image=resize(np.asarray(photo)[None], *image_size)[0],
        box=face.box,
        landmarks=face.landmarks,
        confidence=face.confidence,
    )
