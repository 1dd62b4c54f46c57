"""Draws the eyes and the brows. `side` is -1 for the left of the picture and 1 for the right."""

import numpy as np

from tfface.synthetic.canvas import Canvas
from tfface.synthetic.colors import mixed
from tfface.synthetic.curves import ellipse, open_curve, paired, shifted
from tfface.synthetic.nuisance import Expression
from tfface.synthetic.traits import Brows, Eyes, Face, Hair

_SCLERA = (232, 226, 222)
_LASHES = (34, 22, 22)
# The eyes lie a little behind the skin around them.
_DEPTH = -1.5


def draw_eye(canvas: Canvas, eyes: Eyes, face: Face, expression: Expression, side: int) -> None:
    """One eye, in its own coordinates: origin in its middle, x from the nose outward."""
    opening = expression.eye_open
    upper, lower = _lids(eyes, expression)

    def placed(points: np.ndarray) -> np.ndarray:
        return shifted(points, eyes.spacing, 0) * [side, 1]

    def between_lids(points: np.ndarray) -> np.ndarray:
        top = np.interp(points[:, 0], upper[:, 0], upper[:, 1])
        bottom = np.interp(points[:, 0], lower[:, 0], lower[:, 1])
        return paired(points[:, 0], np.minimum(np.maximum(points[:, 1], top), bottom))

    canvas.fill(placed(np.concatenate([upper, lower[::-1]])), _SCLERA, lift=_DEPTH)
    under_lid = np.concatenate([upper, shifted(upper[::-1], 0, 1.3 * opening)])
    canvas.fill(placed(under_lid), (70, 60, 66), 0.4, lift=_DEPTH)

    gaze = (expression.gaze_x * 2.6 * side, expression.gaze_y * 1.4 - 0.1 * eyes.half_height)
    rim, iris, pupil = (
        between_lids(ellipse(gaze, eyes.iris_radius * share)) for share in (1, 0.82, 0.42)
    )
    canvas.fill(placed(rim), mixed(eyes.iris, 0.5), lift=_DEPTH)
    canvas.fill(placed(iris), eyes.iris, lift=_DEPTH)
    canvas.fill(placed(pupil), (14, 12, 14), lift=_DEPTH)
    if opening > 0.4:
        highlight = np.array([[gaze[0] - 1.1 * side, gaze[1] - 1.1]])
        canvas.disc(placed(highlight), 0.75, (255, 255, 255), 0.9, lift=_DEPTH)

    line = mixed(face.skin, 0.4, (50, 20, 16))
    canvas.stroke(placed(lower), 0.8, line, 0.45, lift=_DEPTH)
    if eyes.bags > 0.05:
        canvas.stroke(placed(shifted(lower[2:-1], 0, 2.6)), 1.1, line, eyes.bags * 0.7, lift=_DEPTH)
    crease = shifted(upper[1:] * [1.02, 1], 0.3, -eyes.crease * (0.45 + 0.55 * opening))
    canvas.stroke(placed(crease), 0.9, line, eyes.hood, lift=_DEPTH)
    # Beyond the outer corner, as lashes stand.
    lash_line = np.concatenate([upper, shifted(upper[-1:], 1.0, -0.4)])
    canvas.stroke(placed(lash_line), 1.1 + 0.65 * eyes.lashes, _LASHES, 0.9, lift=_DEPTH)


def _lids(eyes: Eyes, expression: Expression) -> tuple[np.ndarray, np.ndarray]:
    """Returns the edges of the upper and the lower lid, from the inner corner to the outer one."""
    height = eyes.half_height
    x = np.array([-1, -0.5, 0.1, 0.6, 1])
    corner_drop = np.array([0.7, 0.3, 0, 0, 0])
    lower_y = height * eyes.lower * np.array([0, 0.55, 0.8, 0.62, 0])
    lower_y = lower_y * (1 - 0.25 * max(0.0, expression.smile)) + corner_drop
    upper_y = height * np.array([0, -0.78, -1, -0.75, 0]) + corner_drop
    upper_y = lower_y + (upper_y - lower_y) * expression.eye_open
    tilt = eyes.tilt * (x + 1) / 2
    upper_x = x + np.array([0, 0.18, 0.25, 0.18, 0]) * eyes.peak
    upper = paired(upper_x * eyes.half_width, upper_y + tilt)
    lower = paired(x * eyes.half_width, lower_y + tilt)
    return open_curve(upper, 3), open_curve(lower, 3)


def draw_brow(canvas: Canvas, brows: Brows, hair: Hair, expression: Expression, side: int) -> None:
    x = np.array([0, 0.3, 0.66, 1.0])
    middle = -brows.height - 2.4 * expression.brow_raise - brows.angle * (x - 0.5)
    middle = middle - brows.arch * np.array([0, 0.6, 1, 0])
    middle = middle + expression.frown * np.array([2.6, 1.2, 0, 0])
    taper = brows.taper
    half = 0.5 * brows.thickness * np.array([0.85, 1.1, 1 - 0.3 * taper, 0.5 - 0.4 * taper])
    along = brows.gap - 1.2 * expression.frown + x * brows.length
    upper = open_curve(paired(along, middle - half), 3) * [side, 1]
    lower = open_curve(paired(along, middle + half), 3) * [side, 1]
    color = mixed(hair.color, 0.62, (48, 34, 28))
    canvas.fill(np.concatenate([upper, lower[::-1]]), color, brows.opacity)
    canvas.stroke((upper + lower) / 2, 0.6 * brows.thickness, mixed(color, 0.7), 0.5)
