"""The tools of drawing: colors, smooth curves, the camera, and the page that shapes are painted on.

Colors are (red, green, blue), each 0..255. Head coordinates are in pixels of a 112 x 112 crop: x to
the right of the picture, y down from the eye line, z towards the viewer; the head's turning axis
passes near the origin.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from tfface.face_template import POINTS_112

Color = tuple[int, int, int]


def mixed(color: Color, share: float, other: Color = (0, 0, 0)) -> Color:
    """Returns `share` of `color` and the rest of `other`; above 1 it moves away from `other`."""
    (a, b, c), (x, y, z) = color, other
    return _level(x + (a - x) * share), _level(y + (b - y) * share), _level(z + (c - z) * share)


def _level(value: float) -> int:
    return 0 if value < 0 else 255 if value > 255 else int(value)


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


CROP = 112.0
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


@dataclass(frozen=True)
class Pose:
    """Angles in radians; shifts in crop units (1/112 of the side)."""

    yaw: float
    pitch: float
    roll: float
    scale: float
    shift_x: float
    shift_y: float


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
        wanted = np.array(POINTS_112) @ [1, 1j]
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


class _Shape(NamedTuple):
    color: Color
    alpha: float
    body: bool = False
    width: float = 0.0  # of a stroke
    taper: float = 0.0  # how much of a stroke's width is lost at its ends
    radius: float = 0.0  # of a disc


class Canvas:
    """Collects filled shapes, tapered strokes and discs, then paints them in the order given.

    Points are float [n, 2] on the face as seen from the front, `lift` units above its skin (one
    number, or one for each point), or float [n, 3] anywhere in head coordinates. Widths and radii
    are in crop units; `alpha` is opacity in [0, 1]. Nothing is painted before `finished`: placing
    all points together is several times faster than shape by shape.

    Args:
        size: side of the final picture in pixels.
        camera: projects head coordinates.
    """

    def __init__(self, size: int, camera: Camera):
        self._size = size
        self._camera = camera
        self._shapes: list[_Shape] = []
        self._points: list[np.ndarray] = []
        self._lifts: list = []

    def fill(
        self,
        points: np.ndarray,
        color: Color,
        alpha: float = 1.0,
        *,
        lift=0.0,
        body: bool = False,
    ) -> None:
        """Fills a polygon; `body`: it belongs to the person, and so is lit as the person is."""
        self._add(points, lift, _Shape(color, alpha, body))

    def stroke(
        self,
        points: np.ndarray,
        width: float,
        color: Color,
        alpha: float = 1.0,
        *,
        lift=0.0,
        taper: float = 0.85,
    ) -> None:
        """Draws a line through `points` that loses the share `taper` of its width at its ends."""
        self._add(points, lift, _Shape(color, alpha, width=width, taper=taper))

    def disc(
        self, center: np.ndarray, radius: float, color: Color, alpha: float = 1.0, *, lift=0.0
    ) -> None:
        """Fills a circle around one point, float [1, 2] or [1, 3]."""
        self._add(center, lift, _Shape(color, alpha, radius=radius))

    def fill_page(
        self, points: np.ndarray, color: Color, alpha: float = 1.0, *, body: bool = False
    ) -> None:
        """Fills a polygon whose points, float [n, 2], are crop coordinates, 0..112."""
        self._add(points, None, _Shape(color, alpha, body))

    def finished(self) -> tuple[np.ndarray, np.ndarray]:
        """Paints everything.

        Returns: the picture, uint8 [size, size, 3], and how much of each pixel is the person, uint8
            [size, size].
        """
        oversampling = max(3, -(-160 // self._size))
        side = self._size * oversampling
        picture, body = Image.new("RGB", (side, side)), Image.new("L", (side, side))
        # Pillow blends only in its "RGBA" mode, which costs too much where nothing shows through.
        opaque, blending = ImageDraw.Draw(picture), ImageDraw.Draw(picture, "RGBA")
        body_draw = ImageDraw.Draw(body)
        scale = side / CROP

        counts = np.array([len(points) for points in self._points])
        ends = np.cumsum(counts)
        page = self._placed() * scale
        left, right = self._stroke_sides(page, counts, ends, scale)
        start = 0
        for shape, end in zip(self._shapes, ends.tolist(), strict=True):
            draw, ink = opaque, shape.color
            if shape.alpha < 1:
                draw, ink = blending, (*ink, int(255 * shape.alpha))
            if shape.radius:
                (x, y), r = page[start].tolist(), shape.radius * scale
                draw.ellipse((x - r, y - r, x + r, y + r), fill=ink)
            else:
                if shape.width:
                    corners = np.concatenate([left[start:end], right[start:end][::-1]])
                else:
                    corners = page[start:end]
                corners = corners.ravel().tolist()
                draw.polygon(corners, fill=ink)
                if shape.body:
                    body_draw.polygon(corners, fill=255)
            start = end
        return np.asarray(picture.reduce(oversampling)), np.asarray(body.reduce(oversampling))

    def _add(self, points: np.ndarray, lift, shape: _Shape) -> None:
        if shape.alpha > 0 and len(points):
            self._points.append(points)
            self._lifts.append(lift)
            self._shapes.append(shape)

    def _placed(self) -> np.ndarray:
        """Returns float [total, 2]: all points in crop coordinates."""
        total = sum(map(len, self._points))
        flat, lifts = np.empty((total, 3)), np.empty(total)
        curved, on_page = np.zeros(total, bool), np.zeros(total, bool)
        start = 0
        for points, lift in zip(self._points, self._lifts, strict=True):
            here = slice(start, start + len(points))
            start = here.stop
            flat[here, : points.shape[1]] = points
            if lift is None:
                on_page[here] = True
            elif points.shape[1] == 2:
                curved[here] = True
                lifts[here] = lift
        flat[curved] = on_face(flat[curved, :2], lifts[curved])
        page = self._camera.project(np.where(on_page[:, None], 0.0, flat))
        page[on_page] = flat[on_page, :2]
        return page

    def _stroke_sides(
        self, page: np.ndarray, counts: np.ndarray, ends: np.ndarray, scale: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns float [total, 2] twice: both edges of every stroke (of no meaning elsewhere)."""
        first, last = np.repeat(ends - counts, counts), np.repeat(ends - 1, counts)
        index = np.arange(len(page))
        along = page[np.minimum(index + 1, last)] - page[np.maximum(index - 1, first)]
        length = np.maximum(np.sqrt((along**2).sum(axis=1)), 1e-6)
        position = (2 * index - first - last) / np.maximum(last - first, 1)
        width, taper = np.array([(shape.width, shape.taper) for shape in self._shapes]).T
        half = np.repeat(width * (scale / 2), counts) * (1 - np.repeat(taper, counts) * position**2)
        across = along[:, ::-1] * np.array([-1, 1]) * (half / length)[:, None]
        return page + across, page - across
