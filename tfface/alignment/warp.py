"""Cutting an aligned face out of a photo."""

import numpy as np
from PIL import Image

from tfface.alignment.template import similarity_transform, template_points

# Twice the wanted size is sampled and then halved: that evens out the errors of the interpolation.
_OVERSAMPLING = 2
# Pixels of the shrunken photo that the interpolation may need beyond the face's edges.
_MARGIN = 4


def align_face(photo: Image.Image, landmarks: np.ndarray, height: int, width: int) -> Image.Image:
    """Moves, turns and scales a photo so that the landmarks come to where the template has them.

    A photo that is larger than the result is shrunk with antialiasing first. What lies beyond the
    photo's edges is black, as with other tools that align to this template.

    Args:
        photo: RGB, in full resolution.
        landmarks: [5, 2], (x, y) in its pixels, in the order of `template.LANDMARK_NAMES`.
        height, width: of the result, in pixels.
    Returns: RGB, `width` x `height`.
    Raises ValueError: the landmarks are all in one place.
    """
    transform = similarity_transform(landmarks, template_points(height, width))
    return warp(photo, transform, height, width)


def warp(photo: Image.Image, transform: np.ndarray, height: int, width: int) -> Image.Image:
    """Applies a similarity transform, as `align_face` does.

    Args:
        photo: RGB.
        transform: [2, 3], from the photo's pixels to the result's; (0, 0) is the center of the top
            left pixel in both.
        height, width: of the result.
    """
    # From the result to the photo, for Pillow, which has pixels' centers at halves.
    to_half, from_half = _shift(0.5), _shift(-0.5)
    to_photo = to_half @ np.linalg.inv(np.vstack([transform, (0, 0, 1)])) @ from_half
    to_photo = to_photo @ np.diag([1 / _OVERSAMPLING, 1 / _OVERSAMPLING, 1])
    size = (width * _OVERSAMPLING, height * _OVERSAMPLING)

    shrink = np.hypot(to_photo[0, 0], to_photo[1, 0])
    if shrink > 1:
        photo, to_shrunken = _shrunken(photo, to_photo, size, shrink)
        to_photo = to_shrunken @ to_photo
    sampled = photo.transform(
        size, Image.Transform.AFFINE, to_photo[:2].ravel().tolist(), Image.Resampling.BICUBIC
    )
    return sampled.reduce(_OVERSAMPLING)


def _shrunken(
    photo: Image.Image, to_photo: np.ndarray, size: tuple[int, int], shrink: float
) -> tuple[Image.Image, np.ndarray]:
    """Returns the part of the photo that is needed, shrunken, and the way from the photo to it."""
    width, height = size
    corners = to_photo[:2] @ [[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]]
    margin = _MARGIN * shrink
    left, top = np.floor(np.clip(corners.min(axis=1) - margin, 0, None))
    right, bottom = np.ceil(np.clip(corners.max(axis=1) + margin, None, photo.size))
    if right <= left or bottom <= top:  # all of it is beyond the photo
        return photo, np.eye(3)
    new_width = max(1, round((right - left) / shrink))
    new_height = max(1, round((bottom - top) / shrink))
    part = photo.resize(
        (new_width, new_height),
        Image.Resampling.BICUBIC,
        box=(left, top, right, bottom),
        reducing_gap=3,
    )
    scale = np.diag([new_width / (right - left), new_height / (bottom - top), 1])
    return part, scale @ _shift(-left, -top)


def _shift(x: float, y: float | None = None) -> np.ndarray:
    return np.array([(1, 0, x), (0, 1, x if y is None else y), (0, 0, 1)], np.float64)
