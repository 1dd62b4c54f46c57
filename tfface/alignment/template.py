"""Where eyes, nose and mouth are in an aligned face: the only place that says it.

Points are (x, y) in pixels; (0, 0) is the center of the top left pixel. The order is always: eye,
eye, nose, corner of the mouth, corner of the mouth, and of both kinds the one further left in the
picture first (the person's right).
"""

import numpy as np

# The five points that ArcFace, InsightFace and their kin are trained with, for 112 x 112 pixels.
_POINTS_112 = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)

LANDMARK_NAMES = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")


def template_points(height: int, width: int) -> np.ndarray:
    """Returns the template of an aligned face of `height` x `width` pixels: float64 [5, 2].

    The points for 112 x 112 are scaled by height / 112; where the picture is not square, as much is
    cut off (or added) on the left as on the right. So 112 x 96 is the usual shift of x by -8.
    """
    scale = height / 112
    points = np.array(_POINTS_112) * scale
    points[:, 0] -= (112 * scale - width) / 2
    return points


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
