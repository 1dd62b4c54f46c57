"""Draws the mouth and the folds beside it."""

import numpy as np

from tfface.synthetic.canvas import Canvas
from tfface.synthetic.colors import mixed
from tfface.synthetic.curves import open_curve, paired, shifted
from tfface.synthetic.nuisance import Expression
from tfface.synthetic.traits import Face, Mouth

_INSIDE = (62, 20, 22)
_TEETH = (232, 226, 214)
# The lips lie before the skin around them.
_LIFT = 1.5
# How far the lower lip drops when the mouth is wide open.
JAW_DROP = 7.5


def mouth_corner(mouth: Mouth, expression: Expression) -> tuple[float, float]:
    """Returns x and y of the right corner."""
    smile = expression.smile
    half_width = mouth.half_width * (1 + 0.14 * smile) - 1.2 * expression.mouth_open
    return half_width, mouth.y + mouth.corners - 2.6 * smile


def draw_mouth(canvas: Canvas, mouth: Mouth, face: Face, expression: Expression) -> None:
    half, corner_y = mouth_corner(mouth, expression)
    opened, smile = expression.mouth_open, max(0.0, expression.smile)
    thin = 1 - 0.25 * smile
    x = half * np.array([-1, -0.62, -0.22, 0, 0.22, 0.62, 1])
    full = np.array([0, 0.75, 1, 1, 1, 0.75, 0])

    def bent(middle_y: float) -> np.ndarray:
        return middle_y + (corner_y - middle_y) * (x / half) ** 2

    bow = np.array([0, 0.62, 1.0, 1 - 0.55 * mouth.bow, 1.0, 0.62, 0])
    top = bent(mouth.y - 1.2 * opened)
    bottom = bent(mouth.y) + JAW_DROP * opened * full
    upper_edge = paired(x, top - mouth.upper * thin * bow)
    upper_line = paired(x, top + np.array([0, 0, 0, 0.7, 0, 0, 0]))
    lower_line = paired(x, bottom)
    narrowed = x * np.array([1, 0.95, 0.9, 1, 0.9, 0.95, 1])
    lower_edge = paired(narrowed, bottom + mouth.lower * thin * full)
    upper_edge, upper_line, lower_line, lower_edge = (
        open_curve(edge, 3) for edge in (upper_edge, upper_line, lower_line, lower_edge)
    )

    if opened > 0:
        canvas.fill(np.concatenate([upper_line, lower_line[::-1]]), _INSIDE, lift=_LIFT)
        teeth = upper_line + (lower_line - upper_line) * 0.42
        canvas.fill(np.concatenate([upper_line[2:-2], teeth[-3:1:-1]]), _TEETH, 0.95, lift=_LIFT)
    canvas.fill(
        np.concatenate([upper_edge, upper_line[::-1]]), mixed(mouth.color, 0.84), lift=_LIFT
    )
    canvas.fill(np.concatenate([lower_line, lower_edge[::-1]]), mouth.color, lift=_LIFT)
    if opened == 0:
        canvas.stroke(upper_line, 1.4, mixed(mouth.color, 0.34), 0.9, lift=_LIFT)
    shine = (lower_edge * 0.55 + lower_line * 0.45)[6:-6]
    canvas.stroke(shine, 0.35 * mouth.lower, (255, 240, 236), 0.25, lift=_LIFT)
    _draw_folds(canvas, mouth, face, lower_edge[5:-5], half, corner_y, smile)


def _draw_folds(canvas, mouth: Mouth, face: Face, under_lip, half, corner_y, smile) -> None:
    dark = mixed(face.skin, 0.5, (80, 26, 20))
    canvas.stroke(shifted(under_lip, 0, 1.0), 1.2, dark, 0.3, lift=_LIFT)
    fold_strength = min(0.6, 0.08 + 0.3 * smile + 0.35 * face.age)
    groove = np.array([[1.6, mouth.y - mouth.upper - 5], [2.2, mouth.y - mouth.upper - 0.6]])
    fold = [[0.82 * half, corner_y - 14], [half + 3.5, corner_y - 7], [half + 4.2, corner_y + 1]]
    fold = open_curve(np.array(fold), 3)
    for side in (-1, 1):
        canvas.stroke(groove * [side, 1], 1.0, dark, mouth.philtrum, lift=1)
        canvas.stroke(fold * [side, 1], 1.3, dark, fold_strength)
        canvas.disc(np.array([[half * side, corner_y]]), 0.8, dark, 0.5, lift=1)
