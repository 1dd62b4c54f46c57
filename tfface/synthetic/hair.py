"""Draws hair: behind the face, before it, and the beard."""

import numpy as np

from tfface.synthetic.drawing import (
    Canvas,
    at_depth,
    closed_curve,
    mirrored,
    mixed,
    on_face,
    open_curve,
    paired,
    shifted,
)
from tfface.synthetic.head import JAW_DROP, face_outline
from tfface.synthetic.nuisance import Expression
from tfface.synthetic.people import HAIR_STYLES, Traits

_SKULL_TOP = -60.0
_NUM_STRANDS = 13


def draw_hair_back(canvas: Canvas, traits: Traits) -> None:
    """The skull and the hair behind face and ears."""
    hair, face = traits.hair, traits.face
    skull = mirrored(np.array([[0, -60], [24, -55], [37, -32], [36, 0], [20, 30], [0, 34.0]]))
    color = hair.color if HAIR_STYLES[hair.style].cover == 1 else face.skin
    canvas.fill(at_depth(closed_curve(skull, 4), -24), color, body=True)
    if HAIR_STYLES[hair.style].cover < 1:
        return
    if hair.bun:
        bun = mirrored(np.array([[0, -84], [12, -80], [15, -70], [8, -60], [0, -58.0]]))
        canvas.fill(at_depth(closed_curve(bun, 4), -26), mixed(hair.color, 0.85), body=True)
    end, wide = hair.length, face.half_width + hair.side
    right_half = [
        [0, _SKULL_TOP - hair.top],
        [22, -56 - 0.9 * hair.top],
        [0.92 * wide, -34 - 0.4 * hair.top],
        [wide, -8],
    ]
    if end > 20:
        right_half += [[wide + 0.5, 0.5 * end], [wide - 2, end]]
    right_half += [[0.75 * wide, end + 4], [0, end + 5]]
    outline = _rippled(closed_curve(mirrored(np.array(right_half)), 6), traits)
    canvas.fill(at_depth(outline, -10), mixed(hair.color, 0.72), body=True)


def draw_hair_front(canvas: Canvas, traits: Traits, yaw: float) -> None:
    """From the crown to the hairline, with the locks beside the face."""
    hair, face = traits.hair, traits.face
    cover = HAIR_STYLES[hair.style].cover
    if cover == 0:
        return
    wide = face.half_width + 0.6 * hair.side + 0.5
    side_end = min(hair.length, 14.0)
    right = np.array(
        [
            [0, _SKULL_TOP - hair.top],
            [22, -56.5 - 0.9 * hair.top],
            [0.93 * wide, -36 - 0.4 * hair.top],
            [wide + 0.2, -14],
            [wide, side_end],
        ]
    )
    crown = open_curve(np.concatenate([right[:0:-1] * [-1, 1], right]), 4)
    hairline = open_curve(_hairline(traits, side_end), 5)
    # The ends of the locks: teeth of equal width, longer in a fringe.
    tooth = np.abs((hairline[:, 0] * (hair.waves / 40) + hair.phase) % 1 - 0.5)
    above_brows = hairline[:, 1] < -10
    hairline[:, 1] += tooth * above_brows * (5.5 if hair.style == "fringe" else 2.0)
    front = np.concatenate([at_depth(_rippled(crown, traits), 2), on_face(hairline, 1)])
    canvas.fill(front, hair.color, cover, body=True)
    if hair.length > 30:
        for side in (-1, 1):
            # On a cheek that is turned away, hair hangs behind the face.
            if side * yaw < 0.3:
                _draw_curtain(canvas, traits, side)
    if cover == 1:
        _draw_strands(canvas, traits, hairline)


def _hairline(traits: Traits, side_end: float) -> np.ndarray:
    """Control points from the right sideburn over the forehead to the left one."""
    hair, half = traits.hair, traits.face.half_width
    temple, corner = hair.hairline - hair.recession, hair.hairline - 0.3 * hair.recession
    right, left = (hair.sweep, 0) if hair.part < 0 else (0, hair.sweep)
    line = np.array(
        [
            [half - 1.0, side_end],
            [half - 3.2, -6],
            [half - 6, -20 + 0.5 * right],
            [24, temple + 0.8 * right],
            [12, corner + right],
            [0, hair.hairline + hair.peak],
            [-12, corner + left],
            [-24, temple + 0.8 * left],
            [-half + 6, -20 + 0.5 * left],
            [-half + 3.2, -6],
            [-half + 1.0, side_end],
        ]
    )
    if hair.sweep:
        # At the parting the hair rises.
        near = np.exp(-(((line[:, 0] - hair.part) / 7) ** 2))
        line[:, 1] -= 5 * near * (line[:, 1] < -15)
    return line


def _draw_curtain(canvas: Canvas, traits: Traits, side: int) -> None:
    """Long hair beside the cheek, before the ear."""
    hair, half = traits.hair, traits.face.half_width
    end, wide = hair.length, half + hair.side
    shape = np.array(
        [
            [half - 7, -24],
            [half - 4.5, -4],
            [half - 4 + 0.12 * hair.side, 0.4 * end],
            [half - 3 + 0.3 * hair.side, end],
            [wide - 1, end + 2],
            [wide + 1, 0.5 * end],
            [wide, -8],
            [half, -30],
        ]
    )
    curve = _rippled(closed_curve(shape, 4), traits) * [side, 1]
    canvas.fill(at_depth(curve, 4), hair.color, body=True)
    inner, outer = curve[:13], curve[16:29][::-1]
    for share, shade in ((0.3, 1 + hair.streak), (0.6, 1 - hair.streak), (0.85, 1 + hair.streak)):
        strand = inner + (outer - inner) * share
        canvas.stroke(at_depth(strand, 5), 1.8, mixed(hair.color, shade), 0.6)


def _draw_strands(canvas: Canvas, traits: Traits, hairline: np.ndarray) -> None:
    """Lighter and darker strands from the parting to the hairline."""
    hair = traits.hair
    end_x = np.linspace(-30, 30, _NUM_STRANDS)
    leftward = hairline[::-1]
    ends = paired(end_x, np.interp(end_x, leftward[:, 0], leftward[:, 1]) - 1)
    starts = paired(hair.part + 0.25 * (end_x - hair.part), _SKULL_TOP - 0.3 * hair.top)
    wave = hair.ripple * np.sin(np.arange(_NUM_STRANDS) * 2.4 + hair.phase)
    bends = (starts + ends) / 2 + paired(0.35 * (end_x - hair.part) + wave, -3.0)
    light = mixed(hair.color, 1 - 1.3 * hair.streak, (255, 236, 210))
    dark = mixed(hair.color, 1 - 1.3 * hair.streak)
    control = np.stack([starts, bends, ends]).reshape(3, -1)
    lines = open_curve(control, 3).reshape(-1, _NUM_STRANDS, 2)
    for strand in range(_NUM_STRANDS):
        color = light if strand % 3 == 1 else dark
        canvas.stroke(lines[:, strand], 1.8, color, 0.55, lift=2)


def _rippled(curve: np.ndarray, traits: Traits) -> np.ndarray:
    """Locks and curls: the outline swings in and out."""
    hair = traits.hair
    if hair.ripple < 0.2:
        return curve
    waves = hair.waves * (3 if hair.style in ("curly", "afro") else 1)
    angles = np.linspace(0, 2 * np.pi, len(curve))
    swing = 1 + hair.ripple * 0.022 * np.sin(waves * angles + hair.phase)
    return shifted(shifted(curve, 0, 5) * swing[:, None], 0, -5)


# ---- facial hair -------------------------------------------------------------------------------


def draw_beard(canvas: Canvas, traits: Traits, expression: Expression) -> None:
    """Stubble, beard and goatee: what lies under the lips, and so is painted before them."""
    beard, face, mouth = traits.facial_hair, traits.face, traits.mouth
    color, reach = _beard_color(traits), beard.reach
    upper_edge = np.array(
        [
            [-face.jaw - 3, reach],
            [-0.8 * face.jaw, reach + 10],
            [-mouth.half_width - 3, mouth.y - 5],
            [0, mouth.y - mouth.upper - 3.5],
            [mouth.half_width + 3, mouth.y - 5],
            [0.8 * face.jaw, reach + 10],
            [face.jaw + 3, reach],
        ]
    )
    for opacity, grow in ((beard.stubble, -0.5), (beard.beard, 1.8)):
        if opacity:
            jaw = face_outline(face, expression, grow)
            jaw = jaw[jaw[:, 1] > reach]
            jaw = jaw[np.argsort(jaw[:, 0])]
            top = on_face(open_curve(upper_edge, 4))
            canvas.fill(np.concatenate([jaw, top[::-1]]), color, opacity, body=True)
    if beard.goatee:
        half, drop = 0.8 * mouth.half_width, JAW_DROP * expression.mouth_open
        y = mouth.y + mouth.lower + 1 + drop
        chin = face.chin_y + 0.5 * drop
        shape = [
            [0, y - 0.5],
            [0.55 * half, y + 1],
            [half, chin - 5],
            [0.7 * half, chin],
            [0, chin + 3],
        ]
        outline = closed_curve(mirrored(np.array(shape)), 4)
        canvas.fill(outline, color, beard.goatee, lift=1)


def draw_moustache(canvas: Canvas, traits: Traits, expression: Expression) -> None:
    beard, mouth = traits.facial_hair, traits.mouth
    if not beard.moustache:
        return
    half = mouth.half_width * beard.moustache_width
    y = mouth.y - mouth.upper - 1.2 * expression.mouth_open
    corner = y + 3 + mouth.corners - 2 * expression.smile
    shape = [[0, y - 3.6], [0.55 * half, y - 3.4], [half, corner], [0.5 * half, y + 0.6], [0, y]]
    outline = closed_curve(mirrored(np.array(shape)), 4)
    canvas.fill(outline, _beard_color(traits), beard.moustache, lift=2)


def _beard_color(traits: Traits):
    return mixed(traits.hair.color, 0.75, (52, 36, 28))
