"""A supersampled page on which shapes given in head or crop coordinates are painted."""

import numpy as np
from PIL import Image, ImageDraw

from tfface.data.synthetic.camera import CROP, Camera
from tfface.data.synthetic.colours import Colour


class Canvas:
    """Paints filled shapes and tapered strokes, and remembers which pixels are the person.

    Args:
        size: side of the final picture in pixels.
        camera: projects head coordinates.
    """

    def __init__(self, size: int, camera: Camera):
        self.camera = camera
        self._oversampling = max(3, -(-160 // size))
        side = size * self._oversampling
        self._pixels_per_unit = side / CROP
        self._image = Image.new("RGB", (side, side))
        self._body = Image.new("L", (side, side))
        self._draw = ImageDraw.Draw(self._image, "RGBA")
        self._draw_body = ImageDraw.Draw(self._body)

    def fill(self, points: np.ndarray, colour: Colour, alpha: float = 1.0, *, body: bool = False):
        """Fills the polygon `points`: float [n, 3] in head or [n, 2] in crop coordinates.

        Args:
            alpha: opacity in [0, 1].
            body: whether these pixels belong to the person, and so take the light of the scene.
        """
        if len(colour) != 3:
            raise ValueError(f"a colour is three numbers, but this was given: {colour}")
        corners = (self._page(points) * self._pixels_per_unit).ravel().tolist()
        self._draw.polygon(corners, fill=(*colour, int(255 * alpha)))
        if body:
            self._draw_body.polygon(corners, fill=255)

    def stroke(
        self,
        points: np.ndarray,
        width: float,
        colour: Colour,
        alpha: float = 1.0,
        *,
        taper: float = 1.0,
    ):
        """Draws a line of `width` crop units which narrows to (1 - taper) * width at its ends."""
        page = self._page(points)
        along = np.gradient(page, axis=0)
        along /= np.maximum(np.hypot(along[:, 0], along[:, 1])[:, None], 1e-6)
        t = np.linspace(-1, 1, len(page))
        half = (width / 2) * (1 - taper * t**2)[:, None]
        across = np.stack([-along[:, 1], along[:, 0]], axis=1) * half
        self.fill(np.concatenate([page + across, (page - across)[::-1]]), colour, alpha)

    def disc(self, center: np.ndarray, radius: float, colour: Colour, alpha: float = 1.0):
        """Fills a circle of `radius` crop units around one point (float [3] or [2])."""
        x, y = self._page(np.asarray(center, float)[None])[0] * self._pixels_per_unit
        r = radius * self._pixels_per_unit
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=(*colour, int(255 * alpha)))

    def finished(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the picture, uint8 [size, size, 3], and how far each pixel is person, uint8 [size, size]."""
        factor = self._oversampling
        return np.asarray(self._image.reduce(factor)), np.asarray(self._body.reduce(factor))

    def _page(self, points: np.ndarray) -> np.ndarray:
        return self.camera.project(points) if points.shape[-1] == 3 else points
