"""Where a point of the head lands in the picture: pose, perspective and face alignment.

Head coordinates are in pixels of a 112 x 112 crop: x to the right of the picture, y down from the
eye line, z towards the viewer; the head's turning axis passes near the origin.
"""

import numpy as np

from tfface.synthetic.nuisance import Pose

CROP = 112.0
# The five points of ArcFace crops (eyes, nose tip, mouth corners) at 112 x 112.
TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
_VIEWER_DISTANCE = 420.0
_PIVOT = np.array([0.0, 18.0, -12.0])


def on_face(points: np.ndarray, lift: float = 0.0) -> np.ndarray:
    """Returns float [n, 3]: points [n, 2] of the front view put on the face's curved surface.

    Args:
        lift: how far above the surface, in head units (a nose tip, spectacles).
    """
    placed = np.empty((len(points), 3))
    placed[:, :2] = points
    across = points[:, 0] * (1 / 47)
    down = (points[:, 1] - 8) * (1 / 74)
    bulge = np.maximum(1 - across * across - down * down, 0.02)
    placed[:, 2] = 27 * np.sqrt(bulge) + (6 + lift)
    return placed


def at_depth(points: np.ndarray, depth: float) -> np.ndarray:
    """Returns float [n, 3]: points [n, 2] of the front view on the plane z = depth."""
    placed = np.empty((len(points), 3))
    placed[:, :2], placed[:, 2] = points, depth
    return placed


class Camera:
    """Projects head coordinates to crop coordinates, 0..112 on both axes.

    The picture is aligned as face crops are: the similarity that carries the projected landmarks
    nearest to the five-point template, then the small error of a real landmark detector.

    Args:
        pose: how the head is turned, and the alignment error.
        landmarks: float [5, 3], in the template's order.
    """

    def __init__(self, pose: Pose, landmarks: np.ndarray):
        cos_yaw, sin_yaw = np.cos(pose.yaw), np.sin(pose.yaw)
        cos_pitch, sin_pitch = np.cos(pose.pitch), np.sin(pose.pitch)
        turn = np.array([[cos_yaw, 0, sin_yaw], [0, 1, 0], [-sin_yaw, 0, cos_yaw]])
        nod = np.array([[1, 0, 0], [0, cos_pitch, sin_pitch], [0, -sin_pitch, cos_pitch]])
        self._rotation = (nod @ turn).T
        self._linear, self._offset = np.eye(2), np.zeros(2)

        seen = self.project(landmarks) @ [1, 1j]
        wanted = TEMPLATE @ [1, 1j]
        spread = seen - seen.mean()
        factor = (spread.conj() @ (wanted - wanted.mean())) / (spread.conj() @ spread).real
        factor *= pose.scale * np.exp(1j * pose.roll)
        offset = wanted.mean() - factor * seen.mean() + complex(pose.shift_x, pose.shift_y)
        self._linear = np.array([[factor.real, factor.imag], [-factor.imag, factor.real]])
        self._offset = np.array([offset.real, offset.imag])
        self.scale = abs(factor)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Returns float [n, 2] crop coordinates of float [n, 3] head coordinates."""
        turned = (points - _PIVOT) @ self._rotation
        near = _VIEWER_DISTANCE / (_VIEWER_DISTANCE - turned[:, 2:])
        return (turned[:, :2] * near) @ self._linear + self._offset
