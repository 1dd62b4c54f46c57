"""One picture of one person: the order in which everything is painted."""

import numpy as np

from tfface.data.synthetic import features, hair, lighting, scene
from tfface.data.synthetic.camera import Camera
from tfface.data.synthetic.canvas import Canvas
from tfface.data.synthetic.nuisance import Nuisance
from tfface.data.synthetic.traits import Traits


def draw_portrait(traits: Traits, nuisance: Nuisance, size: int) -> np.ndarray:
    """Returns uint8 [size, size, 3], RGB: the person `traits` in the circumstances `nuisance`."""
    expression = nuisance.expression
    camera = Camera(nuisance.pose, features.landmarks(traits, expression))
    canvas = Canvas(size, camera)
    # What turns away from the viewer is painted first.
    sides = (1, -1) if nuisance.pose.yaw > 0 else (-1, 1)

    scene.draw_background(canvas, nuisance.background)
    hair.draw_hair_back(canvas, traits)
    features.draw_neck(canvas, traits.face, nuisance.background.clothes)
    scene.draw_shadow_on_neck(canvas, traits)
    for side in sides:
        features.draw_ear(canvas, traits.ears, traits.face, side)
    features.draw_face(canvas, traits.face, expression)
    features.draw_beard(canvas, traits.facial_hair, traits, expression)
    features.draw_marks(canvas, traits.marks, traits.face)
    for side in sides:
        features.draw_eye(canvas, traits.eyes, traits.face, expression, side)
        features.draw_brow(canvas, traits.brows, traits, expression, side)
    features.draw_mouth(canvas, traits.mouth, traits.face, expression)
    features.draw_moustache(canvas, traits.facial_hair, traits, expression)
    features.draw_nose(canvas, traits.nose, traits.face, nuisance.pose.yaw)
    hair.draw_hair_front(canvas, traits)
    scene.draw_glasses(canvas, nuisance.occlusion, traits)
    scene.draw_covers(canvas, nuisance.occlusion, traits)

    painted, body = canvas.finished()
    lit = lighting.light_person(painted, body, traits, nuisance, camera)
    return lighting.photograph(lit, nuisance.sensor, nuisance.noise_seed)
