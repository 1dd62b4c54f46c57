"""A face in a photo, and which of several is the most important."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Face:
    """A face that was found.

    Attributes:
        box: left, top, right, bottom in pixels, float64 [4]; the photo's own edges are 0 and its
            width or height. It may reach beyond them.
        landmarks: float64 [5, 2], (x, y) in pixels as in `template`.
        confidence: 0..1.
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
