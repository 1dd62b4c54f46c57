"""Faces of a photo: which is the most important, and finding them in any size and orientation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Face:
    """A face that was found.

    Attributes:
        box: left, top, right, bottom in pixels, float64 [4]; the photo's own edges are 0 and its
            width or height. It may reach beyond them.
        landmarks: float64 [5, 2], (x, y) in pixels as in `template`.
        confidence: 0..1.

    Example:
        >>> face = Face(np.array([10.0, 20.0, 60.0, 90.0]), np.zeros((5, 2)), confidence=0.99)
        >>> float(face.size)
        50.0
    """

    box: np.ndarray
    landmarks: np.ndarray
    confidence: float

    @property
    def size(self) -> float:
        """The shorter side of the box, in pixels."""
        left, top, right, bottom = self.box
        return min(right - left, bottom - top)


def is_cut_off(face: Face, photo_size: tuple[int, int]) -> bool:
    """Whether the photo's edge goes through the face: two or more landmarks are beyond it."""
    beyond = (face.landmarks < -0.5) | (face.landmarks > np.array(photo_size) - 0.5)
    return int(beyond.any(axis=1).sum()) > 1


def why_unusable(face: Face, photo_size: tuple[int, int], min_size: float) -> str:
    """Returns why a face is not aligned; "" if it is.

    Args:
        face: of the photo.
        photo_size: its (width, height) in pixels.
        min_size: of the face's box, its shorter side in pixels.
    """
    if face.size < min_size:
        return f"face smaller than {min_size} pixels"
    if is_cut_off(face, photo_size):
        return "face cut off by the photo's edge"
    return ""


def importance(face: Face, photo_size: tuple[int, int]) -> float:
    """How much a photo is about a face: its area, times its closeness to the center.

        importance = width x height x (1 - distance / half the photo's diagonal)

    of the part of its box that is in the photo; the distance is that of this part's center from the
    photo's. 0 for a face that is not in the photo at all.

    Args:
        face: of the photo.
        photo_size: its (width, height) in pixels.
    """
    limits = np.array(photo_size)
    corner, end = np.clip(face.box.reshape(2, 2), 0, limits)
    distance = np.linalg.norm((corner + end) / 2 - limits / 2) / np.linalg.norm(limits / 2)
    return float((end - corner).prod() * (1 - distance))


def by_importance(faces: Sequence[Face], photo_size: tuple[int, int]) -> list[Face]:
    """Returns the faces of a photo, the most important first."""
    return sorted(faces, key=lambda face: (-importance(face, photo_size), *face.box))


# A photo whose face has less confidence is looked at from all sides. MTCNN finds faces in turned
# photos too, with the wrong landmarks and mostly less confidence than this.
_SURE = 0.995
# A photo is taken to be turned only when its face then has this confidence, and no more than this
# share of the doubt (1 - confidence) that there is about the upright one.
_LEAST_WHEN_TURNED, _MOST_DOUBT_LEFT = 0.99, 0.25

# By degrees counter-clockwise.
_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


class Detector(Protocol):
    """What finds faces, such as `detection.MtcnnDetector`."""

    def detect(self, picture: Image.Image) -> Sequence[Face]:
        """Returns the faces that stand upright in an RGB picture; threads may call it at once."""


def find_faces(
    detector: Detector, photo: Image.Image, *, min_confidence: float, longest_side: int
) -> tuple[list[Face], int]:
    """Finds the faces of a photo.

    When the most important face is not a sure one, or there is none, the photo is also looked at
    turned by 90, 180 and 270 degrees; the turn counts whose face is much surer.

    Args:
        detector: what looks at the picture.
        photo: RGB, any size.
        min_confidence: a photo's most important face is chosen among those that have this.
        longest_side: a larger photo is shrunk to this for the search.
    Returns: all faces with their places in `photo`, the most important first, whatever their
        confidence; and the degrees by which the photo has to be turned counter-clockwise for them
        to stand upright.
    """
    picture = _shrunken(photo, longest_side)

    def look(turn: int) -> tuple[float, list[Face]]:
        turned = picture.transpose(_TURNS[turn]) if turn else picture
        faces = [_turned_back(face, turn, picture.size) for face in detector.detect(turned)]
        faces = by_importance(faces, picture.size)
        confidences = [face.confidence for face in faces if face.confidence >= min_confidence]
        return (confidences[0] if confidences else 0.0), faces

    chosen = 0
    confidence, faces = look(0)
    if confidence < _SURE:
        by_turn = {turn: look(turn) for turn in _TURNS}
        turn = max(by_turn, key=lambda turn: by_turn[turn][0])
        turned_confidence, turned_faces = by_turn[turn]
        doubt_left = (1 - turned_confidence) / (1 - confidence)
        if turned_confidence >= _LEAST_WHEN_TURNED and doubt_left <= _MOST_DOUBT_LEFT:
            chosen, faces = turn, turned_faces
    scale = np.array(photo.size) / picture.size
    return [_scaled(face, scale) for face in faces], chosen


def _shrunken(photo: Image.Image, longest_side: int) -> Image.Image:
    scale = longest_side / max(photo.size)
    if scale >= 1:
        return photo
    size = tuple(max(1, round(side * scale)) for side in photo.size)
    return photo.resize(size, Image.Resampling.BICUBIC, reducing_gap=3)


def _scaled(face: Face, scale: np.ndarray) -> Face:
    # The box counts from the photo's edge, landmarks from the first pixel's center.
    landmarks = (face.landmarks + 0.5) * scale - 0.5
    return Face(face.box * np.tile(scale, 2), landmarks, face.confidence)


def _turned_back(face: Face, turn: int, size: tuple[int, int]) -> Face:
    """A face of the picture turned by `turn`, at its place in the picture of `size` itself."""
    if not turn:
        return face
    corners = _points_turned_back(face.box.reshape(2, 2), turn, *size)
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    landmarks = _points_turned_back(face.landmarks + 0.5, turn, *size) - 0.5
    return Face(box, landmarks, face.confidence)


def _points_turned_back(points: np.ndarray, turn: int, width: int, height: int) -> np.ndarray:
    x, y = points.T
    back = {90: (width - y, x), 180: (width - x, height - y), 270: (y, height - x)}
    return np.stack(back[turn], axis=1)
