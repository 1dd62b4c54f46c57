"""Smooth curves through few points: what every outline of a face is made of."""

from functools import cache

import numpy as np


def paired(x, y) -> np.ndarray:
    """Returns float [n, 2] from two columns, of which one may be a number."""
    points = np.empty((len(x) if np.ndim(x) else len(y), 2))
    points[:, 0], points[:, 1] = x, y
    return points


def shifted(points: np.ndarray, x: float, y: float) -> np.ndarray:
    """Returns float [n, 2]: `points` moved."""
    return points + np.array((x, y))


def closed_curve(control: np.ndarray, samples: int = 6) -> np.ndarray:
    """Returns float [len(control) * samples, d]: the closed Catmull-Rom curve through `control`."""
    return _basis(len(control), samples, True) @ control


def open_curve(control: np.ndarray, samples: int = 6) -> np.ndarray:
    """Returns float [(len(control) - 1) * samples + 1, d]: the curve from first to last point."""
    return _basis(len(control), samples, False) @ control


def mirrored(right_half: np.ndarray) -> np.ndarray:
    """Returns the control points of a symmetric outline; `right_half` (x >= 0) runs downwards.

    Its first and last points lie on the middle line and are used once.
    """
    left_half = right_half[-2:0:-1].copy()
    left_half[:, 0] *= -1
    return np.concatenate([right_half, left_half])


def ellipse(center: tuple[float, float], radii, points: int = 16) -> np.ndarray:
    """Returns float [points, 2]; `radii`: along x and along y, or one number for a circle."""
    return np.array(center) + _circle(points) * radii


@cache
def _circle(points: int) -> np.ndarray:
    angles = np.arange(points) * (2 * np.pi / points)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


@cache
def _basis(num_control: int, samples: int, closed: bool) -> np.ndarray:
    """Returns the matrix that maps control points to curve points (Catmull-Rom, tension 1/2)."""
    segments = num_control if closed else num_control - 1
    rows = []
    for segment in range(segments):
        for t in np.arange(samples) / samples:
            weights = 0.5 * np.array(
                [
                    -t + 2 * t**2 - t**3,
                    2 - 5 * t**2 + 3 * t**3,
                    t + 4 * t**2 - 3 * t**3,
                    -(t**2) + t**3,
                ]
            )
            row = np.zeros(num_control)
            for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
                index = segment + offset
                index = index % num_control if closed else min(max(index, 0), num_control - 1)
                row[index] += weight
            rows.append(row)
    if not closed:
        rows.append(np.eye(num_control)[-1])
    return np.array(rows)
