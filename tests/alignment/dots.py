"""Photos of faces that are five colored dots, and a detector that knows no others."""

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from tfface.alignment.align import Options, align, plan_alignment
from tfface.alignment.faces import Face
from tfface.alignment.template import template_points

COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))
GROUND = (60, 60, 60)

# A face as it looks when it is not aligned: turned a little.
_TURN = np.deg2rad(12)
FACE = (template_points(112, 112) - 56) @ np.array(
    [(np.cos(_TURN), np.sin(_TURN)), (-np.sin(_TURN), np.cos(_TURN))]
)


def draw_photo(
    size: tuple[int, int] = (400, 300),
    center: tuple[float, float] = (190, 140),
    scale: float = 1.5,
    radius: float = 6,
) -> tuple[Image.Image, np.ndarray]:
    """Returns a photo with one face, and the face's landmarks."""
    landmarks = FACE * scale + center
    pixels = np.full((size[1], size[0], 3), GROUND, np.float64)
    for (x, y), color in zip(landmarks, COLORS, strict=True):
        # Beyond this window nothing is covered.
        top, left = (max(math.floor(middle - radius) - 1, 0) for middle in (y, x))
        window = pixels[top : math.ceil(y + radius) + 2, left : math.ceil(x + radius) + 2]
        rows, columns = np.indices(window.shape[:2])
        distance = np.hypot(columns + left - x, rows + top - y)
        covered = np.clip(radius + 0.5 - distance, 0, 1)[..., None]
        window += covered * (np.array(color) - window)
    return Image.fromarray(pixels.round().astype(np.uint8)), landmarks


def find_dots(picture: Image.Image) -> np.ndarray | None:
    """Returns the dots' centers [5, 2]; None if one is missing."""
    pixels = np.asarray(picture).astype(int)
    centers = []
    for color in COLORS:
        rows, columns = np.nonzero(np.abs(pixels - color).max(axis=-1) < 90)
        if not len(rows):
            return None
        centers.append((columns.mean(), rows.mean()))
    return np.array(centers)


class DotDetector:
    """Finds the one face of dots, if it stands upright."""

    def detect(self, picture: Image.Image) -> list[Face]:
        landmarks = find_dots(picture)
        if landmarks is None:
            return []
        (across, down), below = landmarks[1] - landmarks[0], landmarks[3:] - landmarks[:2]
        if across < abs(down) or below[:, 1].min() < 0:
            return []
        middle = (landmarks.min(axis=0) + landmarks.max(axis=0)) / 2
        half = np.ptp(landmarks, axis=0) * 0.9
        return [Face(np.concatenate([middle - half, middle + half]), landmarks, 1.0)]


@dataclass
class ScriptedDetector:
    """Finds what it is told to: one list of faces for each call, the last for all further ones."""

    answers: list[list[Face]]
    pictures: list[Image.Image] = field(default_factory=list)

    def detect(self, picture: Image.Image) -> list[Face]:
        self.pictures.append(picture)
        return self.answers[min(len(self.pictures), len(self.answers)) - 1]


def face_at(left: float, top: float, size: float, confidence: float = 1.0) -> Face:
    """A face with a square box, its landmarks where those of an aligned picture are."""
    landmarks = template_points(112, 112) * size / 112 + (left, top)
    return Face(np.array([left, top, left + size, top + size]), landmarks, confidence)


def align_slowly(source: str, output: str) -> None:
    """What a test runs in a process of its own, to kill it."""

    class SlowDetector(DotDetector):
        def detect(self, picture: Image.Image) -> list[Face]:
            time.sleep(0.02)
            return super().detect(picture)

    align(plan_alignment(Path(source), Path(output), Options()), SlowDetector(), num_workers=2)
