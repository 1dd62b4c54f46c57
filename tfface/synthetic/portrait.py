"""One picture of one person: the order of painting, and what is around and before the face."""

from dataclasses import replace

import numpy as np

from tfface.synthetic import hair, head, lighting
from tfface.synthetic.drawing import (
    CROP,
    Camera,
    Canvas,
    closed_curve,
    mixed,
    on_face,
    open_curve,
    paired,
    shifted,
)
from tfface.synthetic.nuisance import (
    Background,
    Expression,
    Grooming,
    Nuisance,
    Occlusion,
    sample_nuisance,
)
from tfface.synthetic.people import Traits, sample_traits


def render(identity: int, image: int, size: int, seed: int) -> np.ndarray:
    """Returns uint8 [size, size, 3]: a function of its arguments alone."""
    traits, nuisance = sample_traits(identity, seed), sample_nuisance(identity, image, seed)
    return draw_portrait(traits, nuisance, size)


def draw_portrait(traits: Traits, nuisance: Nuisance, size: int) -> np.ndarray:
    """Returns uint8 [size, size, 3], RGB: the person `traits` in the circumstances `nuisance`."""
    traits = groomed(traits, nuisance.grooming)
    face, expression, yaw = traits.face, nuisance.expression, nuisance.pose.yaw
    camera = Camera(nuisance.pose, landmarks(traits, expression))
    canvas = Canvas(size, camera)

    draw_background(canvas, nuisance.background)
    hair.draw_hair_back(canvas, traits)
    head.draw_neck(canvas, face, nuisance.background.clothes)
    for side in (-1, 1):
        head.draw_ear(canvas, traits.ears, face, side)
    head.draw_skin(canvas, face, expression)
    head.draw_marks(canvas, traits.marks, face)
    hair.draw_beard(canvas, traits, expression)
    for side in (-1, 1):
        head.draw_eye(canvas, traits.eyes, face, expression, side)
        head.draw_brow(canvas, traits.brows, traits.hair, expression, side)
    head.draw_mouth(canvas, traits.mouth, face, expression)
    hair.draw_moustache(canvas, traits, expression)
    head.draw_nose(canvas, traits.nose, face, yaw)
    hair.draw_hair_front(canvas, traits, yaw)
    draw_glasses(canvas, nuisance.occlusion, traits, yaw)
    draw_covers(canvas, nuisance.occlusion, traits)

    painted, body = canvas.finished()
    lit = lighting.light_person(painted, body, traits, nuisance, camera)
    return lighting.photograph(lit, nuisance.sensor, nuisance.noise_seed)


def groomed(traits: Traits, grooming: Grooming) -> Traits:
    """Returns the person as they look on that day."""
    hair, beard, lipstick = traits.hair, traits.facial_hair, grooming.lipstick
    color = hair.color
    if grooming.hair_tone < 1:
        color = mixed(color, grooming.hair_tone)
    else:
        color = mixed(color, 2 - grooming.hair_tone, (196, 180, 160))
    hair = replace(
        hair,
        color=color,
        top=hair.top * grooming.volume,
        side=hair.side * grooming.volume,
        length=hair.length + grooming.length,
        hairline=hair.hairline + grooming.hairline,
    )
    beard = replace(
        beard,
        stubble=min(1.0, beard.stubble * grooming.beard),
        beard=min(1.0, beard.beard * grooming.beard),
        moustache=min(1.0, beard.moustache * grooming.beard),
        goatee=min(1.0, beard.goatee * grooming.beard),
    )
    lips = traits.mouth
    if lipstick is not None:
        lips = replace(lips, color=mixed(lips.color, 0.35, lipstick))
    return replace(traits, hair=hair, facial_hair=beard, mouth=lips)


def landmarks(traits: Traits, expression: Expression) -> np.ndarray:
    """Returns float [5, 3]: both eyes, the nose tip and both mouth corners in head coordinates."""
    spacing, tip_y = traits.eyes.spacing, traits.nose.length - 3
    x, y = head.mouth_corner(traits.mouth, expression)
    points = on_face(np.array([[-spacing, 0], [spacing, 0], [0, tip_y], [-x, y], [x, y]]))
    points[2, 2] += traits.nose.projection
    return points


_NUM_BANDS = 6
_LENS_ANGLES = np.arange(22) * (2 * np.pi / 22)


def draw_background(canvas: Canvas, background: Background) -> None:
    """A gradient in bands, with flat shapes before it."""
    first, second, *colors = background.colors
    direction = np.array([np.cos(background.angle), np.sin(background.angle)])
    across = np.array([-direction[1], direction[0]]) * CROP
    for band in range(_NUM_BANDS):
        # A crop is at most 1.42 of its side across; strips overlap a little, so that no gap shows.
        start = CROP / 2 + direction * CROP * (1.42 * band / _NUM_BANDS - 0.71)
        end = start + direction * CROP * (1.46 / _NUM_BANDS)
        strip = np.stack([start - across, start + across, end + across, end - across])
        canvas.fill_page(strip, mixed(first, 1 - band / (_NUM_BANDS - 1), second))
    for shape, color in zip(background.shapes, colors, strict=True):
        canvas.fill_page(shape, color)


def draw_glasses(canvas: Canvas, occlusion: Occlusion, traits: Traits, yaw: float) -> None:
    if occlusion.glasses is None:
        return
    # A superellipse: round lenses have the power 2, square ones a higher one.
    power = 2 / (2 + 2.5 * occlusion.glasses_shape)
    cos, sin = np.cos(_LENS_ANGLES), np.sin(_LENS_ANGLES)
    rim = paired(
        12.2 * np.sign(cos) * np.abs(cos) ** power, 9.6 * np.sign(sin) * np.abs(sin) ** power + 1.5
    )
    spacing, frame = traits.eyes.spacing, occlusion.glasses_color
    for side in (-1, 1):
        lens = on_face(shifted(rim, spacing + 0.6, 0) * [side, 1], 4)
        if occlusion.glasses == "dark":
            canvas.fill(lens, (22, 22, 26), 0.9)
        else:
            canvas.fill(lens, (225, 235, 240), 0.1)
        canvas.stroke(np.concatenate([lens, lens[:1]]), 2.0, frame, taper=0)
        if side * yaw > 0.05:
            # This arm is hidden behind the head.
            continue
        hinge = on_face(np.array([[side * (spacing + 12.4), -1.0]]), 4)
        arm = np.concatenate([hinge, [[side * traits.face.half_width, -2, -2]]])
        canvas.stroke(arm, 1.8, frame, taper=0)
    bridge = np.array([[11.6 - spacing, 0], [0, -2.2], [spacing - 11.6, 0]])
    canvas.stroke(open_curve(bridge, 3), 2.0, frame, lift=7, taper=0)


def draw_covers(canvas: Canvas, occlusion: Occlusion, traits: Traits) -> None:
    """Hat and scarf, loose strands, and what is held before the face."""
    if occlusion.cap is not None:
        _draw_cap(canvas, occlusion, traits.face.half_width + traits.hair.side + 2)
    if occlusion.scarf is not None:
        y = occlusion.scarf
        edge = [[-46, y - 10, 0], [-22, y, 26], [0, y + 2, 36], [22, y, 26], [46, y - 10, 0]]
        edge = open_curve(np.array(edge), 3)
        canvas.fill(
            np.concatenate([edge, [[70, 130, 0], [-70, 130, 0]]]), occlusion.cloth, body=True
        )
        canvas.stroke(edge + np.array([0, 9, 0]), 2, mixed(occlusion.cloth, 0.6), 0.6)
    for strand in occlusion.strands:
        canvas.stroke(open_curve(strand, 3), 2.2, traits.hair.color, 0.75, lift=3)
    if occlusion.bar is not None:
        canvas.fill_page(closed_curve(occlusion.bar, 4), occlusion.bar_color, body=True)


def _draw_cap(canvas: Canvas, occlusion: Occlusion, wide: float) -> None:
    y, cloth = occlusion.cap, occlusion.cloth
    rim = [[-wide, y + 6, 2], [-24, y + 1, 22], [0, y, 34], [24, y + 1, 22], [wide, y + 6, 2]]
    top = [[wide, -40, -2], [30, -76, -6], [-30, -76, -6], [-wide, -40, -2]]
    rim = open_curve(np.array(rim), 3)
    canvas.fill(np.concatenate([rim, top]), cloth, body=True)
    canvas.stroke(rim + np.array([0, -1, 1]), 5, mixed(cloth, 0.7), taper=0)
