"""A supersampled page on which shapes given in head coordinates are painted."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from tfface.synthetic.camera import CROP, Camera, on_face
from tfface.synthetic.colors import Color


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
