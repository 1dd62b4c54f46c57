"""Draws the head without its features: neck, ears, skin, wrinkles, moles, freckles and scars.

Coordinates: see camera.py. `side` is -1 for the left of the picture and 1 for the right.
"""

import numpy as np

from tfface.synthetic.camera import at_depth
from tfface.synthetic.canvas import Canvas
from tfface.synthetic.colors import Color, mixed
from tfface.synthetic.curves import closed_curve, mirrored, open_curve, shifted
from tfface.synthetic.nuisance import Expression
from tfface.synthetic.traits import Ears, Face, Marks


def face_outline(face: Face, expression: Expression, grow: float = 0.0) -> np.ndarray:
    """Returns float [n, 3]: the edge of the face, `grow` units outside of it."""
    chin_y = face.chin_y + 3.5 * expression.mouth_open
    corner = face.chin_half_width
    right_half = np.array(
        [
            [0, -60],
            [21, -56],
            [34, -38],
            [face.half_width, -14],
            [0.45 * face.half_width + 0.55 * face.cheek, 8],
            [0.6 * face.cheek + 0.4 * face.jaw, 26],
            [face.jaw, 40],
            [corner + 0.36 * (face.jaw - corner), chin_y - 8 + 2 * face.chin_square],
            [corner * (0.55 + 0.4 * face.chin_square), chin_y - 1.6 + face.chin_square],
            [0, chin_y],
        ]
    )
    curve = closed_curve(mirrored(right_half), 3)
    # The silhouette lies beside the ears, but the chin is far in front of them.
    depth = np.interp(curve[:, 1], [-60, -10, 30, 64], [4, 6, 10, 25])
    outward = shifted(curve, 0, -5)
    curve = curve + outward * (grow / np.hypot(outward[:, 0], outward[:, 1]))[:, None]
    return np.concatenate([curve, depth[:, None]], axis=1)


def draw_neck(canvas: Canvas, face: Face, clothes: Color) -> None:
    """The neck in the chin's shadow, and the shoulders; most of them lies below the crop."""
    half, chin = face.neck, face.chin_y
    neck = [[-half, chin - 26], [half, chin - 26], [half + 2, 90], [-half - 2, 90]]
    canvas.fill(at_depth(np.array(neck), -14), mixed(face.skin, 0.8), body=True)
    collar = [
        [-90, 100],
        [-48, 76],
        [-half, 70],
        [0, 84],
        [half, 70],
        [48, 76],
        [90, 100],
        [0, 140],
    ]
    canvas.fill(at_depth(np.array(collar), -12), clothes, body=True)
    shade = [[-half, 40], [half, 40], [half * 0.8, chin + 8], [-half * 0.8, chin + 8]]
    canvas.fill(at_depth(np.array(shade), -10), mixed(face.skin, 0.45, (40, 16, 12)), 0.5)


def draw_ear(canvas: Canvas, ears: Ears, face: Face, side: int) -> None:
    size, out = ears.size, ears.protrusion
    outline = np.array(
        [
            [0, -0.75 * size],
            [0.6 * out + 1.5, -size],
            [out + 2.5, -0.55 * size],
            [out + 1.2, 0.2 * size],
            [3.5 * ears.lobe, size],
            [-1, 0.8 * size],
        ]
    )
    curve = closed_curve(outline, 4)
    placed = shifted(curve, face.half_width - 2.5, ears.y) * [side, 1]
    canvas.fill(at_depth(placed, -6), mixed(face.skin, 0.94), body=True)
    hollow = shifted(curve * [0.55, 0.62], face.half_width - 1.7, ears.y - 0.5) * [side, 1]
    canvas.fill(at_depth(hollow, -6), mixed(face.skin, 0.72, (120, 40, 30)), 0.7)


def draw_skin(canvas: Canvas, face: Face, expression: Expression) -> None:
    # A contour a shade darker than the skin parts it from a background of the same color.
    contour = mixed(face.skin, 0.82, (90, 40, 30))
    canvas.fill(face_outline(face, expression), contour, body=True)
    canvas.fill(face_outline(face, expression, -0.9), face.skin)
    if face.age > 0.25:
        _draw_wrinkles(canvas, face, expression)


def _draw_wrinkles(canvas: Canvas, face: Face, expression: Expression) -> None:
    dark, strength = mixed(face.skin, 0.62, (60, 20, 15)), (face.age - 0.25) * 0.75
    raised = 0.5 + 0.5 * max(0.0, expression.brow_raise)
    for row in range(1 + int(face.age * 2.9)):
        y, half = -22 - 5.0 * row, 18 - row
        line = np.array([[-half, y + 1], [-7, y], [7, y], [half, y + 1]])
        canvas.stroke(open_curve(line, 3), 0.9, dark, strength * raised)
    for side in (-1, 1):
        for spread in (-2.5, 0, 2.5):
            crow = [[25.5, 0.5 * spread], [28, spread], [30.5, 1.6 * spread + 0.8]]
            canvas.stroke(np.array(crow) * [side, 1], 0.7, dark, 0.7 * strength)


def draw_marks(canvas: Canvas, marks: Marks, face: Face) -> None:
    freckle = mixed(face.skin, 0.6, (110, 50, 20))
    for spot in marks.freckles:
        canvas.disc(spot[None], 0.55, freckle, marks.freckle_strength)
    mole = mixed(face.skin, 0.3, (50, 26, 18))
    for spot, radius in zip(marks.moles[:, :2], marks.moles[:, 2], strict=True):
        canvas.disc(spot[None], radius, mole, 0.85)
    if marks.scar is not None:
        canvas.stroke(marks.scar, 1.3, mixed(face.skin, 0.7, (200, 120, 110)), 0.8)
