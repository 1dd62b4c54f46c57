"""Draws the lines of the nose; most of its form comes from the light (lighting.py)."""

import numpy as np

from tfface.synthetic.canvas import Canvas
from tfface.synthetic.colors import mixed
from tfface.synthetic.curves import ellipse, open_curve
from tfface.synthetic.traits import Face, Nose


def draw_nose(canvas: Canvas, nose: Nose, face: Face, yaw: float) -> None:
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
