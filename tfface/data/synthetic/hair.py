"""Draws the hair of the head: what lies behind the face, and what falls before it."""

import numpy as np

from tfface.data.synthetic.camera import at_depth, on_face
from tfface.data.synthetic.canvas import Canvas
from tfface.data.synthetic.colours import mixed
from tfface.data.synthetic.curves import closed_curve, mirrored, open_curve
from tfface.data.synthetic.traits import HAIR_STYLES, Traits

_SKULL_TOP = -60.0


def draw_hair_back(canvas: Canvas, traits: Traits):
    """The skull and the hair behind face and ears."""
    hair, face = traits.hair, traits.face
    skull = mirrored(np.array([[0, -60], [24, -55], [37, -32], [36, 0], [20, 30], [0, 34.0]]))
    colour = hair.colour if HAIR_STYLES[hair.style].cover == 1 else face.skin
    canvas.fill(at_depth(closed_curve(skull), -24), colour, body=True)
    if HAIR_STYLES[hair.style].cover < 1:
        return
    if hair.style == "tied" and hair.bun:
        bun = np.array([[0, -84], [12, -80], [15, -70], [8, -60], [0, -58.0]])
        canvas.fill(at_depth(closed_curve(mirrored(bun)), -26), mixed(hair.colour, 0.85), body=True)
    end = hair.length
    wide = face.half_width + hair.side
    half = [
        [0, _SKULL_TOP - hair.top],
        [22, -56 - 0.9 * hair.top],
        [0.92 * wide, -34 - 0.4 * hair.top],
        [wide, -8],
    ]
    if end > 20:
        half += [[wide + 0.5, 0.5 * end], [wide - 2, end]]
    half += [[0.75 * wide, end + 4], [0, end + 5]]
    outline = _rippled(closed_curve(mirrored(np.array(half, float)), 6), traits)
    canvas.fill(at_depth(outline, -10), mixed(hair.colour, 0.72), body=True)


def draw_hair_front(canvas: Canvas, traits: Traits):
    """From the crown to the hairline, with the locks beside the face."""
    hair, face = traits.hair, traits.face
    cover = HAIR_STYLES[hair.style].cover
    if cover == 0:
        return
    wide = face.half_width + 0.6 * hair.side + 0.5
    side_end = min(hair.length, 14.0)
    crown = np.array(
        [
            [0, _SKULL_TOP - hair.top],
            [22, -56.5 - 0.9 * hair.top],
            [0.93 * wide, -36 - 0.4 * hair.top],
            [wide + 0.2, -14],
            [wide, side_end],
        ]
    )
    left = crown[:0:-1] * [-1, 1]
    outer = open_curve(np.concatenate([left, crown]), 5)
    inner = open_curve(_hairline(traits, side_end), 5)
    front = np.concatenate([at_depth(_rippled(outer, traits), 2.0), on_face(inner, 1.0)])
    canvas.fill(front, hair.colour, cover, body=True)
    if hair.length > 30:
        for side in (-1, 1):
            _draw_curtain(canvas, traits, side)
    if cover == 1:
        _draw_strands(canvas, traits, outer, inner)


def _hairline(traits: Traits, side_end: float) -> np.ndarray:
    """Control points from the right sideburn over the forehead to the left one."""
    hair, half = traits.hair, traits.face.half_width
    temple = hair.hairline - hair.recession
    right, left = (hair.sweep, 0) if hair.part < 0 else (0, hair.sweep)
    points = [
        [half - 1.0, side_end],
        [half - 3.2, -6],
        [half - 6, -20 + 0.5 * right],
        [24, temple + right * 0.8],
        [12, hair.hairline - 0.3 * hair.recession + right],
        [0, hair.hairline + hair.peak],
        [-12, hair.hairline - 0.3 * hair.recession + left],
        [-24, temple + left * 0.8],
        [-half + 6, -20 + 0.5 * left],
        [-half + 3.2, -6],
        [-half + 1.0, side_end],
    ]
    line = np.array(points, float)
    if hair.sweep:
        # The parting: the hair rises where it is divided.
        line[:, 1] -= 5 * np.exp(-(((line[:, 0] - hair.part) / 7) ** 2)) * (line[:, 1] < -15)
    if hair.style == "fringe":
        jag = np.array([0, 0, 1, -1.5, 1.5, -1, 1.5, -1.5, 1, 0, 0]) * hair.ripple
        line[:, 1] += jag
    return line


def _draw_curtain(canvas: Canvas, traits: Traits, side: int):
    """Long hair beside the cheek, in front of the ear."""
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
    curve = _rippled(closed_curve(shape, 5), traits) * [side, 1]
    canvas.fill(at_depth(curve, 4), hair.colour, body=True)
    for share in (0.3, 0.6, 0.85):
        inner, outer = curve[:16], curve[20:36][::-1]
        strand = inner + (outer - inner) * share
        shade = 1 - traits.hair.streak if share == 0.6 else 1 + traits.hair.streak
        canvas.stroke(at_depth(strand, 5), 1.6, mixed(hair.colour, shade), 0.6)


def _draw_strands(canvas: Canvas, traits: Traits, outer: np.ndarray, inner: np.ndarray):
    hair = traits.hair
    count = 15
    start_x = np.linspace(-30, 30, count)
    crown = np.stack(
        [hair.part + 0.25 * (start_x - hair.part), np.full(count, _SKULL_TOP - 0.3 * hair.top)], 1
    )
    order = np.argsort(inner[:, 0])
    ends = np.stack([start_x, np.interp(start_x, inner[order, 0], inner[order, 1]) - 1], axis=1)
    bend = (crown + ends) / 2 + np.stack(
        [0.35 * (start_x - hair.part), np.full(count, -3.0)], axis=1
    )
    wave = hair.ripple * np.sin(np.arange(count) * 2.4 + hair.phase)
    for index in range(count):
        line = open_curve(np.stack([crown[index], bend[index] + [wave[index], 0], ends[index]]), 3)
        shade = 1 + hair.streak * (1.6 if index % 3 == 1 else -1)
        colour = (
            mixed(hair.colour, shade)
            if shade < 1
            else mixed(hair.colour, 2 - shade, (255, 236, 210))
        )
        canvas.stroke(on_face(line, 2.0), 1.5, colour, 0.55)


def _rippled(curve: np.ndarray, traits: Traits) -> np.ndarray:
    """Locks and curls: the outline swings in and out."""
    hair = traits.hair
    if hair.ripple < 0.2:
        return curve
    waves = hair.waves * (3 if hair.style in ("curly", "afro") else 1)
    t = np.linspace(0, 2 * np.pi, len(curve))
    swing = 1 + hair.ripple * 0.022 * np.sin(waves * t + hair.phase) * (curve[:, 1] > -200)
    return (curve - [0, -5]) * swing[:, None] + [0, -5]
