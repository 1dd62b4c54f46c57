"""One picture of one person: the order in which everything is painted."""

from dataclasses import replace

import numpy as np

from tfface.synthetic import eyes, hair, head, lighting, mouth, nose, scene
from tfface.synthetic.camera import Camera, on_face
from tfface.synthetic.canvas import Canvas
from tfface.synthetic.colors import mixed
from tfface.synthetic.nuisance import Expression, Grooming, Nuisance, sample_nuisance
from tfface.synthetic.people import sample_traits
from tfface.synthetic.traits import Traits


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

    scene.draw_background(canvas, nuisance.background)
    hair.draw_hair_back(canvas, traits)
    head.draw_neck(canvas, face, nuisance.background.clothes)
    for side in (-1, 1):
        head.draw_ear(canvas, traits.ears, face, side)
    head.draw_skin(canvas, face, expression)
    head.draw_marks(canvas, traits.marks, face)
    hair.draw_beard(canvas, traits, expression)
    for side in (-1, 1):
        eyes.draw_eye(canvas, traits.eyes, face, expression, side)
        eyes.draw_brow(canvas, traits.brows, traits.hair, expression, side)
    mouth.draw_mouth(canvas, traits.mouth, face, expression)
    hair.draw_moustache(canvas, traits, expression)
    nose.draw_nose(canvas, traits.nose, face, yaw)
    hair.draw_hair_front(canvas, traits, yaw)
    scene.draw_glasses(canvas, nuisance.occlusion, traits, yaw)
    scene.draw_covers(canvas, nuisance.occlusion, traits)

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
    x, y = mouth.mouth_corner(traits.mouth, expression)
    points = on_face(np.array([[-spacing, 0], [spacing, 0], [0, tip_y], [-x, y], [x, y]]))
    points[2, 2] += traits.nose.projection
    return points
