"""The way from a photo to an aligned face, whose landmarks are where the template has them.

`tfface/face_template.py` says in which pixels and in which order points are given.
"""

import numpy as np
from PIL import Image

from tfface.face_template import POINTS_112


def template_points(height: int, width: int) -> np.ndarray:
    """Returns the template of an aligned face of `height` x `width` pixels: float64 [5, 2].

    The points for 112 x 112 are scaled by height / 112; where the picture is not square, as much is
    cut off (or added) on the left as on the right. So 112 x 96 is the usual shift of x by -8.
    """
    scale = height / 112
    points = np.array(POINTS_112) * scale
    points[:, 0] -= (112 * scale - width) / 2
    return points


# Pixels of 112: 2.2 in the median and 4.1 at most in 95 % of aligned faces (120 of LFW), 7.4 and
# more than 5.2 in photos that a face fills (120 celebrities).
_MAX_ALIGNED_SHIFT = 4.5


def is_aligned(landmarks: np.ndarray, picture_size: tuple[int, int]) -> bool:
    """Whether alignment would leave a picture nearly as it is.

    Args:
        landmarks, picture_size: as for `alignment_shift`.
    """
    return alignment_shift(landmarks, picture_size) <= _MAX_ALIGNED_SHIFT


def alignment_shift(landmarks: np.ndarray, picture_size: tuple[int, int]) -> float:
    """Returns by how much alignment would move the landmarks, in pixels of a height of 112.

    It is the mean of their distances. Their distance from the template is not asked, because much
    of it is how one face differs from another, which no alignment changes.

    Args:
        landmarks: float [5, 2], in pixels of the picture.
        picture_size: its (width, height).
    """
    width, height = picture_size
    transform = similarity_transform(landmarks, template_points(height, width))
    moved = landmarks @ transform[:, :2].T + transform[:, 2]
    return float(np.linalg.norm(moved - landmarks, axis=1).mean() * 112 / height)


def similarity_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns the rotation, scale and shift that brings `source` nearest to `target`.

    It is the M that minimizes sum_i |M (x_i, y_i, 1) - target_i|^2 among M = (s R | t) with a
    rotation R and s >= 0; it never mirrors.

    Args:
        source: [points, 2], points > 1.
        target: [points, 2].
    Returns: float64 [2, 3], M.
    Raises ValueError: all points of `source` are the same.
    Reference: Umeyama, "Least-squares estimation of transformation parameters between two point
        patterns", 1991.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    # In two dimensions points are complex numbers, and s R is the product with one of them.
    a, b = _complex(source - source_mean), _complex(target - target_mean)
    spread = np.vdot(a, a).real
    if not spread > 0:
        raise ValueError("the points are all the same, or not finite")
    factor = np.vdot(a, b) / spread
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([linear, target_mean - linear @ source_mean])


def _complex(points: np.ndarray) -> np.ndarray:
    return points[:, 0] + 1j * points[:, 1]


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
        landmarks: [5, 2], (x, y) in its pixels, in the order of `face_template.LANDMARK_NAMES`.
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
