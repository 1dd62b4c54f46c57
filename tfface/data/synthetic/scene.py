"""Draws what is around and before the face: background, glasses, hats, scarves, hands, loose hair."""

import numpy as np

from tfface.data.synthetic.camera import CROP, at_depth, on_face
from tfface.data.synthetic.canvas import Canvas
from tfface.data.synthetic.colours import mixed
from tfface.data.synthetic.curves import closed_curve, open_curve
from tfface.data.synthetic.nuisance import Background, Occlusion
from tfface.data.synthetic.traits import Traits

_BANDS = 6


def draw_background(canvas: Canvas, background: Background):
    first, second, *colours = background.colours
    direction = np.array([np.cos(background.angle), np.sin(background.angle)])
    across = np.array([-direction[1], direction[0]]) * CROP
    middle = np.full(2, CROP / 2)
    for band in range(_BANDS):
        start = middle + direction * CROP * 1.5 * (band / _BANDS - 0.5)
        end = middle + direction * CROP * 1.5
        if band == 0:
            start = start - direction * CROP
        strip = np.stack([start - across, start + across, end + across, end - across])
        canvas.fill(strip, mixed(first, 1 - band / (_BANDS - 1), second))
    for shape, colour in zip(background.shapes, colours, strict=True):
        canvas.fill(shape, colour, 0.8)


def draw_glasses(canvas: Canvas, occlusion: Occlusion, traits: Traits):
    if occlusion.glasses is None:
        return
    spacing, power = traits.eyes.spacing, 2 + 2.5 * occlusion.glasses_shape
    angles = np.arange(24) * (2 * np.pi / 24)
    round_x = np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** (2 / power)
    round_y = np.sign(np.sin(angles)) * np.abs(np.sin(angles)) ** (2 / power)
    rim = np.stack([round_x * 12.2, round_y * 9.6 + 1.5], axis=1)
    frame = occlusion.glasses_colour
    for side in (-1, 1):
        lens = on_face((rim + [spacing + 0.6, 0]) * [side, 1], 4)
        if occlusion.glasses == "dark":
            canvas.fill(lens, (22, 22, 26), 0.88)
        else:
            canvas.fill(lens, (225, 235, 240), 0.1)
        canvas.stroke(np.concatenate([lens, lens[:1]]), 2.0, frame, taper=0)
        arm = np.array([[spacing + 12.4, -1.0], [traits.face.half_width, -2.0]]) * [side, 1]
        arm = np.concatenate([arm, [[4 + on_face(arm[:1])[0, 2]], [-2]]], axis=1)
        canvas.stroke(arm, 1.8, frame, taper=0)
    bridge = np.array([[-spacing + 11.6, 0], [0, -2.2], [spacing - 11.6, 0]])
    canvas.stroke(on_face(open_curve(bridge), 7), 2.0, frame, taper=0)


def draw_covers(canvas: Canvas, occlusion: Occlusion, traits: Traits):
    """Hat and scarf, loose strands, and what is held before the face."""
    wide = traits.face.half_width + traits.hair.side + 2
    if occlusion.cap is not None:
        y = occlusion.cap
        hat = np.array(
            [
                [-wide, y + 6],
                [-24, y + 1],
                [0, y],
                [24, y + 1],
                [wide, y + 6],
                [wide, -40],
                [30, -76],
                [-30, -76],
                [-wide, -40.0],
            ]
        )
        depth = np.array([2, 22, 34, 22, 2, -2, -6, -6, -2.0])
        canvas.fill(np.concatenate([hat, depth[:, None]], axis=1), occlusion.cloth, body=True)
        brim = open_curve(
            np.array(
                [[-wide, y + 5, 3.0], [-24, y, 25], [0, y - 1, 36], [24, y, 25], [wide, y + 5, 3]]
            )
        )
        canvas.stroke(brim, 4.5, mixed(occlusion.cloth, 0.7), taper=0.2)
    if occlusion.scarf is not None:
        y = occlusion.scarf
        top = open_curve(
            np.array(
                [[-46, y - 10, 0.0], [-22, y, 26], [0, y + 2, 36], [22, y, 26], [46, y - 10, 0]]
            )
        )
        canvas.fill(
            np.concatenate([top, [[70, 130, 0], [-70, 130, 0]]]), occlusion.cloth, body=True
        )
        canvas.stroke(top + [0, 9, 0], 2, mixed(occlusion.cloth, 0.6), 0.6, taper=0)
    for strand in occlusion.strands:
        canvas.stroke(on_face(open_curve(strand), 3), 1.8, mixed(traits.hair.colour, 0.9), 0.9)
    if occlusion.bar is not None:
        canvas.fill(closed_curve(occlusion.bar, 4), occlusion.bar_colour, body=True)


def draw_shadow_on_neck(canvas: Canvas, traits: Traits):
    face = traits.face
    shade = np.array(
        [
            [-face.neck, 40.0],
            [face.neck, 40],
            [face.neck * 0.8, face.chin_y + 8],
            [-face.neck * 0.8, face.chin_y + 8],
        ]
    )
    canvas.fill(at_depth(shade, -10), mixed(face.skin, 0.45, (40, 16, 12)), 0.5)
