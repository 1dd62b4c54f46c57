"""Draws a face: neck, ears, skin and marks, then eyes, brows, nose and mouth.

Coordinates: see drawing.py. `side` is -1 for the left of the picture and 1 for the right.
"""

import numpy as np

from tfface.synthetic.drawing import (
    Canvas,
    Color,
    at_depth,
    closed_curve,
    ellipse,
    mirrored,
    mixed,
    open_curve,
    paired,
    shifted,
)
from tfface.synthetic.nuisance import Expression
from tfface.synthetic.people import Brows, Ears, Eyes, Hair, HeadShape, Marks, Mouth, Nose


def face_outline(face: HeadShape, expression: Expression, grow: float = 0.0) -> np.ndarray:
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


def draw_neck(canvas: Canvas, face: HeadShape, clothes: Color) -> None:
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


def draw_ear(canvas: Canvas, ears: Ears, face: HeadShape, side: int) -> None:
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


def draw_skin(canvas: Canvas, face: HeadShape, expression: Expression) -> None:
    # A contour a shade darker than the skin parts it from a background of the same color.
    contour = mixed(face.skin, 0.82, (90, 40, 30))
    canvas.fill(face_outline(face, expression), contour, body=True)
    canvas.fill(face_outline(face, expression, -0.9), face.skin)
    if face.age > 0.25:
        _draw_wrinkles(canvas, face, expression)


def _draw_wrinkles(canvas: Canvas, face: HeadShape, expression: Expression) -> None:
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


def draw_marks(canvas: Canvas, marks: Marks, face: HeadShape) -> None:
    freckle = mixed(face.skin, 0.6, (110, 50, 20))
    for spot in marks.freckles:
        canvas.disc(spot[None], 0.55, freckle, marks.freckle_strength)
    mole = mixed(face.skin, 0.3, (50, 26, 18))
    for spot, radius in zip(marks.moles[:, :2], marks.moles[:, 2], strict=True):
        canvas.disc(spot[None], radius, mole, 0.85)
    if marks.scar is not None:
        canvas.stroke(marks.scar, 1.3, mixed(face.skin, 0.7, (200, 120, 110)), 0.8)


_SCLERA = (232, 226, 222)
_LASHES = (34, 22, 22)
# The eyes lie a little behind the skin around them.
_EYE_DEPTH = -1.5


def draw_eye(
    canvas: Canvas, eyes: Eyes, face: HeadShape, expression: Expression, side: int
) -> None:
    """One eye, in its own coordinates: origin in its middle, x from the nose outward."""
    opening = expression.eye_open
    upper, lower = _lids(eyes, expression)

    def placed(points: np.ndarray) -> np.ndarray:
        return shifted(points, eyes.spacing, 0) * [side, 1]

    def between_lids(points: np.ndarray) -> np.ndarray:
        top = np.interp(points[:, 0], upper[:, 0], upper[:, 1])
        bottom = np.interp(points[:, 0], lower[:, 0], lower[:, 1])
        return paired(points[:, 0], np.minimum(np.maximum(points[:, 1], top), bottom))

    canvas.fill(placed(np.concatenate([upper, lower[::-1]])), _SCLERA, lift=_EYE_DEPTH)
    under_lid = np.concatenate([upper, shifted(upper[::-1], 0, 1.3 * opening)])
    canvas.fill(placed(under_lid), (70, 60, 66), 0.4, lift=_EYE_DEPTH)

    gaze = (expression.gaze_x * 2.6 * side, expression.gaze_y * 1.4 - 0.1 * eyes.half_height)
    rim, iris, pupil = (
        between_lids(ellipse(gaze, eyes.iris_radius * share)) for share in (1, 0.82, 0.42)
    )
    canvas.fill(placed(rim), mixed(eyes.iris, 0.5), lift=_EYE_DEPTH)
    canvas.fill(placed(iris), eyes.iris, lift=_EYE_DEPTH)
    canvas.fill(placed(pupil), (14, 12, 14), lift=_EYE_DEPTH)
    if opening > 0.4:
        highlight = np.array([[gaze[0] - 1.1 * side, gaze[1] - 1.1]])
        canvas.disc(placed(highlight), 0.75, (255, 255, 255), 0.9, lift=_EYE_DEPTH)

    line = mixed(face.skin, 0.4, (50, 20, 16))
    canvas.stroke(placed(lower), 0.8, line, 0.45, lift=_EYE_DEPTH)
    if eyes.bags > 0.05:
        canvas.stroke(
            placed(shifted(lower[2:-1], 0, 2.6)), 1.1, line, eyes.bags * 0.7, lift=_EYE_DEPTH
        )
    crease = shifted(upper[1:] * [1.02, 1], 0.3, -eyes.crease * (0.45 + 0.55 * opening))
    canvas.stroke(placed(crease), 0.9, line, eyes.hood, lift=_EYE_DEPTH)
    # Beyond the outer corner, as lashes stand.
    lash_line = np.concatenate([upper, shifted(upper[-1:], 1.0, -0.4)])
    canvas.stroke(placed(lash_line), 1.1 + 0.65 * eyes.lashes, _LASHES, 0.9, lift=_EYE_DEPTH)


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


def draw_nose(canvas: Canvas, nose: Nose, face: HeadShape, yaw: float) -> None:
    dark = mixed(face.skin, 0.55, (80, 26, 20))
    base, half, tip = nose.length, nose.half_width, nose.tip
    forward = nose.projection

    for side in (-1, 1):
        # The flank that turns away shows as a line from the brow down to the tip.
        away = min(1.0, max(0.0, 2.2 * side * yaw))
        bridge = nose.bridge
        flank = [[bridge + 2.5, -6], [bridge, 2], [bridge, base - 9], [tip, base - 4]]
        flank = open_curve(np.array(flank), 3) * [side, 1]
        rising = np.linspace(0.05, 0.75, len(flank))
        canvas.stroke(flank, 1.5, dark, 0.13 + 0.42 * away, lift=rising * forward)
        wing = [
            [0.75 * half, base - 6.5],
            [half, base - 3.2],
            [0.94 * half, base + 0.2],
            [0.62 * half, base + 0.8],
        ]
        canvas.stroke(
            open_curve(np.array(wing), 3) * [side, 1], 1.4, dark, 0.65, lift=0.2 * forward
        )
        center = (0.48 * half, base + 0.2 - 0.4 * nose.upturn)
        nostril = ellipse(center, (0.24 * half, nose.nostril), 10)
        nostril[:, 1] += 0.3 * (nostril[:, 0] - center[0])
        canvas.fill(nostril * [side, 1], mixed(dark, 0.5), 0.85, lift=0.5 * forward)
    under = [[-0.8 * tip, base + 0.3], [0, base + 1.4 - 0.6 * nose.upturn], [0.8 * tip, base + 0.3]]
    canvas.stroke(open_curve(np.array(under), 3), 1.2, dark, 0.5, lift=0.7 * forward)


_INSIDE = (62, 20, 22)
_TEETH = (232, 226, 214)
# The lips lie before the skin around them.
_LIP_LIFT = 1.5
# How far the lower lip drops when the mouth is wide open.
JAW_DROP = 7.5


def mouth_corner(mouth: Mouth, expression: Expression) -> tuple[float, float]:
    """Returns x and y of the right corner."""
    smile = expression.smile
    half_width = mouth.half_width * (1 + 0.14 * smile) - 1.2 * expression.mouth_open
    return half_width, mouth.y + mouth.corners - 2.6 * smile


def draw_mouth(canvas: Canvas, mouth: Mouth, face: HeadShape, expression: Expression) -> None:
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
        canvas.fill(np.concatenate([upper_line, lower_line[::-1]]), _INSIDE, lift=_LIP_LIFT)
        teeth = upper_line + (lower_line - upper_line) * 0.42
        canvas.fill(
            np.concatenate([upper_line[2:-2], teeth[-3:1:-1]]), _TEETH, 0.95, lift=_LIP_LIFT
        )
    canvas.fill(
        np.concatenate([upper_edge, upper_line[::-1]]), mixed(mouth.color, 0.84), lift=_LIP_LIFT
    )
    canvas.fill(np.concatenate([lower_line, lower_edge[::-1]]), mouth.color, lift=_LIP_LIFT)
    if opened == 0:
        canvas.stroke(upper_line, 1.4, mixed(mouth.color, 0.34), 0.9, lift=_LIP_LIFT)
    shine = (lower_edge * 0.55 + lower_line * 0.45)[6:-6]
    canvas.stroke(shine, 0.35 * mouth.lower, (255, 240, 236), 0.25, lift=_LIP_LIFT)
    _draw_folds(canvas, mouth, face, lower_edge[5:-5], half, corner_y, smile)


def _draw_folds(canvas, mouth: Mouth, face: HeadShape, under_lip, half, corner_y, smile) -> None:
    dark = mixed(face.skin, 0.5, (80, 26, 20))
    canvas.stroke(shifted(under_lip, 0, 1.0), 1.2, dark, 0.3, lift=_LIP_LIFT)
    fold_strength = min(0.6, 0.08 + 0.3 * smile + 0.35 * face.age)
    groove = np.array([[1.6, mouth.y - mouth.upper - 5], [2.2, mouth.y - mouth.upper - 0.6]])
    fold = [[0.82 * half, corner_y - 14], [half + 3.5, corner_y - 7], [half + 4.2, corner_y + 1]]
    fold = open_curve(np.array(fold), 3)
    for side in (-1, 1):
        canvas.stroke(groove * [side, 1], 1.0, dark, mouth.philtrum, lift=1)
        canvas.stroke(fold * [side, 1], 1.3, dark, fold_strength)
        canvas.disc(np.array([[half * side, corner_y]]), 0.8, dark, 0.5, lift=1)
