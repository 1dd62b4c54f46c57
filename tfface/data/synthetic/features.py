"""Draws the parts of a face: one function per part, in the order in which they are painted.

Coordinates: see camera.py. `side` is -1 for the eye, brow or ear at the left of the picture, 1 at the right.
"""

import numpy as np

from tfface.data.synthetic.camera import at_depth, on_face
from tfface.data.synthetic.canvas import Canvas
from tfface.data.synthetic.colours import mixed
from tfface.data.synthetic.curves import closed_curve, ellipse, mirrored, open_curve
from tfface.data.synthetic.nuisance import Expression
from tfface.data.synthetic.traits import (
    Brows,
    Ears,
    Eyes,
    Face,
    FacialHair,
    Marks,
    Mouth,
    Nose,
    Traits,
)


def landmarks(traits: Traits, expression: Expression) -> np.ndarray:
    """Returns float [5, 3]: both eyes, the nose tip and both mouth corners in head coordinates."""
    eyes, nose = traits.eyes, traits.nose
    half_width, corner_y = _mouth_corners(traits.mouth, expression)
    flat = np.array(
        [
            [-eyes.spacing, 0.0],
            [eyes.spacing, 0.0],
            [0.0, nose.length - 3],
            [-half_width, corner_y],
            [half_width, corner_y],
        ]
    )
    points = on_face(flat)
    points[2, 2] += nose.projection
    return points


def draw_neck(canvas: Canvas, face: Face, clothes):
    """The neck and the shoulders; most of it lies below the crop."""
    half, chin = face.neck, face.chin_y
    neck = np.array([[-half, chin - 26], [half, chin - 26], [half + 2, 90.0], [-half - 2, 90.0]])
    canvas.fill(at_depth(neck, -14), mixed(face.skin, 0.8), body=True)
    collar = [
        [-90, 100],
        [-48, 76],
        [-half, 70],
        [0, 84],
        [half, 70],
        [48, 76],
        [90, 100],
        [0, 140.0],
    ]
    canvas.fill(at_depth(np.array(collar), -12), clothes, body=True)


def draw_ear(canvas: Canvas, ears: Ears, face: Face, side: int):
    size, x = ears.size, face.half_width - 2.5
    outline = np.array(
        [
            [0, -0.75 * size],
            [0.6 * ears.protrusion + 1.5, -size],
            [ears.protrusion + 2.5, -0.55 * size],
            [ears.protrusion + 1.2, 0.2 * size],
            [ears.lobe * 3.5, size],
            [-1, 0.8 * size],
        ]
    )
    curve = closed_curve(outline)
    placed = (curve + [x, ears.y]) * [side, 1]
    canvas.fill(at_depth(placed, -6), mixed(face.skin, 0.94), body=True)
    inner = (curve * [0.55, 0.62] + [x + 0.8, ears.y - 0.5]) * [side, 1]
    canvas.fill(at_depth(inner, -6), mixed(face.skin, 0.72, (120, 40, 30)), 0.7)


def face_outline(face: Face, grow: float = 0.0, mouth_open: float = 0.0) -> np.ndarray:
    """Returns float [n, 3]: the edge of the face, `grow` units outside of it."""
    chin_y = face.chin_y + 3.5 * mouth_open
    corner = face.chin_half_width
    half = np.array(
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
        ],
        float,
    )
    curve = closed_curve(mirrored(half), 5)
    # The silhouette lies beside the ears, but the chin is far in front of them.
    depth = np.interp(curve[:, 1], [-60, -10, 30, 64], [4, 6, 10, 25])
    if grow:
        curve = curve + grow * (curve - [0, 5]) / np.hypot(curve[:, 0], curve[:, 1] - 5)[:, None]
    return np.concatenate([curve, depth[:, None]], axis=1)


def draw_face(canvas: Canvas, face: Face, expression: Expression):
    outline = face_outline(face, mouth_open=expression.mouth_open)
    # A soft-looking edge: the contour is a shade darker than the skin.
    canvas.fill(outline, mixed(face.skin, 0.82, (90, 40, 30)), body=True)
    canvas.fill(face_outline(face, -0.9, expression.mouth_open), face.skin)
    if face.age > 0.25:
        _draw_lines(canvas, face, expression)


def _draw_lines(canvas: Canvas, face: Face, expression: Expression):
    dark, strength = mixed(face.skin, 0.62, (60, 20, 15)), (face.age - 0.25) * 0.75
    for row in range(1 + int(face.age * 2.9)):
        y = -22 - 5.0 * row
        line = open_curve(np.array([[-18 + row, y + 1], [-7, y], [7, y], [18 - row, y + 1.0]]))
        canvas.stroke(
            on_face(line), 0.9, dark, strength * (0.5 + 0.5 * max(0, expression.brow_raise))
        )
    for side in (-1, 1):
        for lift in (-2.5, 0, 2.5):
            crow = np.array([[25.5, lift * 0.5], [28, lift], [30.5, lift * 1.6 + 0.8]]) * [side, 1]
            canvas.stroke(on_face(crow), 0.7, dark, strength * 0.7)


def draw_marks(canvas: Canvas, marks: Marks, face: Face):
    for x, y in marks.freckles:
        canvas.disc(_spot(x, y), 0.55, mixed(face.skin, 0.6, (110, 50, 20)), marks.freckle_strength)
    for x, y, radius in marks.moles:
        canvas.disc(_spot(x, y), radius, mixed(face.skin, 0.3, (50, 26, 18)), 0.85)
    if marks.scar is not None:
        canvas.stroke(on_face(marks.scar), 1.2, mixed(face.skin, 0.7, (200, 120, 110)), 0.8)


def _spot(x: float, y: float) -> np.ndarray:
    return on_face(np.array([[x, y]]))[0]


# ---- eyes and brows ----------------------------------------------------------------------------


def draw_eye(canvas: Canvas, eyes: Eyes, face: Face, expression: Expression, side: int):
    height, opening = eyes.half_height, expression.eye_open
    lid_x = np.array([-1, -0.5, 0.1, 0.6, 1])
    lower_y = height * eyes.lower * np.array([0, 0.55, 0.8, 0.62, 0])
    lower_y = lower_y * (1 - 0.25 * max(0, expression.smile)) + [0.7, 0.4, 0, 0, 0]
    upper_y = height * np.array([0, -0.78, -1, -0.75, 0]) + [0.7, 0, 0, 0, 0]
    upper_y = lower_y + (upper_y - lower_y) * opening
    tilt = eyes.tilt * (lid_x + 1) / 2
    upper_x = lid_x + np.array([0, 0.18, 0.25, 0.18, 0]) * eyes.peak
    upper = open_curve(np.stack([upper_x * eyes.half_width, upper_y + tilt], axis=1), 5)
    lower = open_curve(np.stack([lid_x * eyes.half_width, lower_y + tilt], axis=1), 5)

    def place(points: np.ndarray) -> np.ndarray:
        return on_face((points + [eyes.spacing, 0]) * [side, 1], -1.5)

    dark = mixed(face.skin, 0.4, (50, 20, 16))
    canvas.fill(place(np.concatenate([upper, lower[::-1]])), (232, 226, 222))
    # The upper lid's shadow on the eyeball.
    shade = np.concatenate([upper, upper[::-1] + [0, 1.3 * opening]])
    canvas.fill(place(shade), (70, 60, 66), 0.4)

    gaze = np.array([expression.gaze_x * 2.6 * side, expression.gaze_y * 1.4 - 0.1 * height])

    def within_lids(points: np.ndarray) -> np.ndarray:
        top = np.interp(points[:, 0], upper[:, 0], upper[:, 1])
        bottom = np.interp(points[:, 0], lower[:, 0], lower[:, 1])
        return np.stack([points[:, 0], np.clip(points[:, 1], top, np.maximum(top, bottom))], axis=1)

    radius = eyes.iris_radius
    canvas.fill(place(within_lids(ellipse(gaze, (radius, radius)))), mixed(eyes.iris, 0.5))
    canvas.fill(place(within_lids(ellipse(gaze, (radius * 0.82,) * 2))), eyes.iris)
    canvas.fill(place(within_lids(ellipse(gaze, (radius * 0.42,) * 2, 12))), (14, 12, 14))
    if opening > 0.4:
        canvas.disc(place((gaze + [-1.1 * side, -1.1])[None])[0], 0.75, (255, 255, 255), 0.9)

    canvas.stroke(place(lower), 0.8, dark, 0.45)
    if eyes.bags > 0.05:
        bag = lower[3:-2] + [0, 2.6]
        canvas.stroke(place(bag), 1.1, dark, eyes.bags * 0.7)
    crease = upper[1:] * [1.02, 1] + [0.3, -eyes.crease * (0.45 + 0.55 * opening)]
    canvas.stroke(place(crease), 0.9, dark, eyes.hood)
    lashes = upper.copy()
    lashes[-1] += [0.9, -0.3]
    canvas.stroke(place(lashes), 1.0 + 0.6 * eyes.lashes, (34, 22, 22), 0.9, taper=0.6)


def draw_brow(canvas: Canvas, brows: Brows, traits: Traits, expression: Expression, side: int):
    x = np.array([0, 0.3, 0.66, 1.0])
    frown, lift = expression.frown, 2.4 * expression.brow_raise
    middle = -brows.height - lift - brows.angle * (x - 0.5)
    middle = middle - brows.arch * np.array([0, 0.6, 1, 0]) + frown * np.array([2.6, 1.2, 0, 0])
    half = (
        brows.thickness / 2 * np.array([0.85, 1.1, 1 - 0.3 * brows.taper, 0.5 - 0.4 * brows.taper])
    )
    along = brows.gap - 1.2 * frown + x * brows.length
    upper = open_curve(np.stack([along, middle - half], axis=1), 4)
    lower = open_curve(np.stack([along, middle + half], axis=1), 4)
    outline = np.concatenate([upper, lower[::-1]]) * [side, 1]
    colour = mixed(traits.hair.colour, 0.62, (48, 34, 28))
    canvas.fill(on_face(outline), colour, brows.opacity)
    canvas.stroke(
        on_face((upper + lower) / 2 * [side, 1]), brows.thickness * 0.5, mixed(colour, 0.7), 0.5
    )


# ---- nose and mouth ----------------------------------------------------------------------------


def draw_nose(canvas: Canvas, nose: Nose, face: Face, yaw: float):
    """The lines of the nose; most of its form comes from the light (lighting.py)."""
    dark = mixed(face.skin, 0.55, (80, 26, 20))
    base, half, rise = nose.length, nose.half_width, nose.projection

    def place(points, lift) -> np.ndarray:
        placed = on_face(np.asarray(points, float))
        placed[:, 2] += np.asarray(lift) * rise
        return placed

    for side in (-1, 1):
        # The flank that turns away shows as a line from the brow down to the tip.
        away = np.clip(side * yaw * 2.2, 0, 1)
        flank = open_curve(
            np.array(
                [
                    [nose.bridge + 2.5, -6],
                    [nose.bridge, 2],
                    [nose.bridge, base - 9],
                    [nose.tip, base - 4],
                ]
            )
        )
        lift = np.linspace(0.05, 0.75, len(flank))
        canvas.stroke(place(flank * [side, 1], lift), 1.5, dark, 0.13 + 0.42 * away)
        wing = open_curve(
            np.array(
                [
                    [half * 0.75, base - 6.5],
                    [half, base - 3.2],
                    [half * 0.94, base + 0.2],
                    [half * 0.62, base + 0.8],
                ]
            )
        )
        canvas.stroke(place(wing * [side, 1], 0.2), 1.3, dark, 0.6, taper=0.7)
        nostril = ellipse(
            (half * 0.48, base + 0.2 - 0.4 * nose.upturn), (half * 0.24, nose.nostril), 12
        )
        nostril = nostril + (nostril[:, :1] - half * 0.48) * [0, 0.3]
        canvas.fill(place(nostril * [side, 1], 0.5), mixed(dark, 0.5), 0.85)
    under = open_curve(
        np.array(
            [
                [-nose.tip * 0.8, base + 0.3],
                [0, base + 1.4 - 0.6 * nose.upturn],
                [nose.tip * 0.8, base + 0.3],
            ]
        )
    )
    canvas.stroke(place(under, 0.7), 1.2, dark, 0.5)


def _mouth_corners(mouth: Mouth, expression: Expression) -> tuple[float, float]:
    smile = expression.smile
    half_width = mouth.half_width * (1 + 0.14 * smile) - 1.2 * expression.mouth_open
    return half_width, mouth.y + mouth.corners - 2.6 * smile


def draw_mouth(canvas: Canvas, mouth: Mouth, face: Face, expression: Expression):
    half, corner_y = _mouth_corners(mouth, expression)
    opened, smile = expression.mouth_open, max(0.0, expression.smile)
    thin = 1 - 0.25 * smile
    y = mouth.y
    top_y = y - 1.2 * opened
    x = half * np.array([-1, -0.62, -0.22, 0, 0.22, 0.62, 1])
    bow = mouth.bow
    upper_edge = np.array([0, 0.62, 1.0, 1 - 0.55 * bow, 1.0, 0.62, 0]) * -mouth.upper * thin
    upper_edge = np.stack([x, upper_edge + _bent(x, half, top_y, corner_y)], axis=1)
    drop = np.array([0, 0.75, 1, 1, 1, 0.75, 0])
    line_upper = np.stack([x, _bent(x, half, top_y, corner_y) + [0, 0, 0, 0.7, 0, 0, 0]], axis=1)
    line_lower = np.stack([x, _bent(x, half, y, corner_y) + 7.5 * opened * drop], axis=1)
    lower_x = x * np.array([1, 0.95, 0.9, 1, 0.9, 0.95, 1])
    lower_edge = np.stack([lower_x, line_lower[:, 1] + mouth.lower * thin * drop], axis=1)
    edges = [open_curve(edge, 4) for edge in (upper_edge, line_upper, line_lower, lower_edge)]
    upper_edge, line_upper, line_lower, lower_edge = (on_face(edge, 1.5) for edge in edges)

    dark = mixed(face.skin, 0.5, (80, 26, 20))
    if opened > 0:
        canvas.fill(np.concatenate([line_upper, line_lower[::-1]]), (62, 20, 22))
        teeth = line_upper + (line_lower - line_upper) * 0.42
        canvas.fill(np.concatenate([line_upper[3:-3], teeth[-4:2:-1]]), (232, 226, 214), 0.95)
    canvas.fill(np.concatenate([upper_edge, line_upper[::-1]]), mixed(mouth.colour, 0.84))
    canvas.fill(np.concatenate([line_lower, lower_edge[::-1]]), mouth.colour)
    if opened == 0:
        canvas.stroke(line_upper, 1.25, mixed(mouth.colour, 0.34), 0.9, taper=0.5)
    shine = (lower_edge * 0.55 + line_lower * 0.45)[8:-8]
    canvas.stroke(shine, 0.3 * mouth.lower, (255, 240, 236), 0.22)
    canvas.stroke(lower_edge[6:-6] + [0, 1.0, 0], 1.2, dark, 0.3)
    for side in (-1, 1):
        groove = np.array([[1.6, mouth.y - mouth.upper - 5], [2.2, mouth.y - mouth.upper - 0.6]])
        canvas.stroke(on_face(groove * [side, 1], 1), 0.9, dark, mouth.philtrum, taper=0.3)
        corner = np.array([half * side, corner_y])
        canvas.disc(on_face(corner[None], 1)[0], 0.8, dark, 0.5)
        fold = np.array(
            [[half * 0.82, corner_y - 14], [half + 3.5, corner_y - 7], [half + 4.2, corner_y + 1.0]]
        )
        canvas.stroke(
            on_face(open_curve(fold) * [side, 1]),
            1.2,
            dark,
            min(0.6, 0.08 + 0.3 * smile + 0.35 * face.age),
        )


def _bent(x: np.ndarray, half: float, middle_y: float, corner_y: float) -> np.ndarray:
    """The height of a line that runs through the middle and the corners of the mouth."""
    return middle_y + (corner_y - middle_y) * (x / half) ** 2


# ---- facial hair -------------------------------------------------------------------------------


def draw_beard(canvas: Canvas, hair: FacialHair, traits: Traits, expression: Expression):
    """Everything that lies under the lips; painted before the mouth."""
    face, mouth = traits.face, traits.mouth
    colour = mixed(traits.hair.colour, 0.75, (52, 36, 28))
    for opacity, grow in ((hair.stubble, 0.0), (hair.beard, 1.6)):
        if opacity == 0:
            continue
        lower = face_outline(face, grow, expression.mouth_open)
        lower = lower[lower[:, 1] > hair.beard_reach - 6]
        order = np.argsort(lower[:, 0])
        top = open_curve(
            np.array(
                [
                    [-face.jaw - 1, hair.beard_reach],
                    [-face.jaw * 0.72, hair.beard_reach + 12],
                    [-mouth.half_width - 2, mouth.y - 3],
                    [0, mouth.y - mouth.upper - 4],
                    [mouth.half_width + 2, mouth.y - 3],
                    [face.jaw * 0.72, hair.beard_reach + 12],
                    [face.jaw + 1, hair.beard_reach],
                ],
                float,
            )
        )
        canvas.fill(np.concatenate([lower[order], on_face(top)[::-1]]), colour, opacity)
    if hair.goatee:
        half = mouth.half_width * 0.8
        y = mouth.y + mouth.lower + 1 + 7.5 * expression.mouth_open
        chin = face.chin_y + 3.5 * expression.mouth_open
        shape = np.array(
            [
                [-half, y + 1],
                [0, y - 0.5],
                [half, y + 1],
                [half * 0.7, chin],
                [0, chin + 3],
                [-half * 0.7, chin],
            ]
        )
        canvas.fill(on_face(closed_curve(shape), 1), colour, hair.goatee)


def draw_moustache(canvas: Canvas, hair: FacialHair, traits: Traits, expression: Expression):
    if not hair.moustache:
        return
    mouth, colour = traits.mouth, mixed(traits.hair.colour, 0.75, (52, 36, 28))
    half = mouth.half_width * hair.moustache_width
    y = mouth.y - mouth.upper - 1.2 * expression.mouth_open
    corner = y + 3 + mouth.corners - 2 * expression.smile
    shape = np.array(
        [[0, y - 3.6], [half * 0.55, y - 3.4], [half, corner], [half * 0.5, y + 0.6], [0, y + 0.2]]
    )
    canvas.fill(on_face(closed_curve(mirrored(shape), 4), 2), colour, hair.moustache)
