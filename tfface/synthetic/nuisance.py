"""What differs between pictures of one person: pose, expression, light, camera, things in front.

All of it is drawn anew for every image, and none of it may depend on who is in the picture.
"""

from dataclasses import dataclass

import numpy as np

from tfface.synthetic.drawing import Color, Pose, mixed


@dataclass(frozen=True)
class Expression:
    mouth_open: float  # 0 closed, 1 wide
    smile: float  # < 0 sad, 1 broad
    brow_raise: float
    frown: float
    eye_open: float  # 0 shut, 1 as the identity has them
    gaze_x: float
    gaze_y: float


@dataclass(frozen=True)
class Grooming:
    """What a person does about hair and face from day to day."""

    volume: float  # factor of the hair's volume
    length: float  # added to the hair's length
    hairline: float  # how far the hair falls lower than usual
    hair_tone: float  # factor of its brightness: washed out, wet, bleached
    beard: float  # factor of its opacity
    lipstick: Color | None


@dataclass(frozen=True)
class Light:
    direction: np.ndarray  # unit [3] towards the light: x right, y down, z to the viewer
    diffuse: float
    ambient: float
    color: np.ndarray  # [3] gains of red, green, blue
    ambient_color: np.ndarray  # [3]
    shine: float
    background: float  # brightness of what is behind


@dataclass(frozen=True)
class Occlusion:
    glasses: str | None  # None, "clear" or "dark"
    glasses_shape: float  # 0 round, 1 square
    glasses_color: Color
    cap: float | None  # y of a hat's rim
    scarf: float | None  # y of a scarf's upper edge
    cloth: Color
    bar: np.ndarray | None  # float [4, 2] crop coordinates of something before the face
    bar_color: Color
    strands: np.ndarray  # float [n, 3, 2] loose hair across the face


@dataclass(frozen=True)
class Sensor:
    exposure: float
    gamma: float
    saturation: float
    blur: float  # standard deviation, crop units
    shrink: float  # below 1: shown at this fraction of the resolution, then enlarged
    noise: float  # grey levels
    jpeg_quality: int | None


@dataclass(frozen=True)
class Background:
    colors: tuple[Color, ...]  # two for the gradient, then one per shape
    angle: float
    shapes: np.ndarray  # float [n, k, 2] crop coordinates
    clothes: Color


@dataclass(frozen=True)
class Nuisance:
    """One picture's circumstances."""

    pose: Pose
    expression: Expression
    grooming: Grooming
    light: Light
    occlusion: Occlusion
    sensor: Sensor
    background: Background
    noise_seed: int


def sample_nuisance(identity: int, image: int, seed: int) -> Nuisance:
    """Returns the circumstances of one picture: a function of (seed, identity, image) alone."""
    rng = np.random.default_rng([seed, identity, image, 2])
    return Nuisance(
        pose=_pose(rng),
        expression=_expression(rng),
        grooming=_grooming(rng),
        light=_light(rng),
        occlusion=_occlusion(rng),
        sensor=_sensor(rng),
        background=_background(rng),
        noise_seed=int(rng.integers(2**32)),
    )


def _clipped(rng: np.random.Generator, spread: float, limit: float) -> float:
    return min(limit, max(-limit, rng.normal(0, spread)))


def _color(rng: np.random.Generator) -> Color:
    """Of any hue, but rarely a shrill one."""
    red, green, blue = rng.integers(10, 246, 3).tolist()
    grey = (red + green + blue) // 3
    return mixed((red, green, blue), rng.uniform(0.1, 0.9), (grey, grey, grey))


def _pose(rng: np.random.Generator) -> Pose:
    return Pose(
        yaw=_clipped(rng, 0.3, 0.6),
        pitch=_clipped(rng, 0.14, 0.32),
        roll=_clipped(rng, 0.05, 0.12),
        scale=float(np.exp(_clipped(rng, 0.06, 0.13))),
        shift_x=_clipped(rng, 2.3, 5.5),
        shift_y=_clipped(rng, 2.3, 5.5),
    )


def _expression(rng: np.random.Generator) -> Expression:
    return Expression(
        mouth_open=float(rng.uniform(0.15, 1)) if rng.uniform() < 0.35 else 0.0,
        smile=float(rng.uniform(-0.35, 1)),
        brow_raise=_clipped(rng, 0.45, 1),
        frown=max(0.0, _clipped(rng, 0.4, 1)),
        eye_open=float(rng.uniform(0.12, 0.6) if rng.uniform() < 0.18 else rng.uniform(0.75, 1.15)),
        gaze_x=_clipped(rng, 0.35, 0.8),
        gaze_y=_clipped(rng, 0.2, 0.5),
    )


def _grooming(rng: np.random.Generator) -> Grooming:
    lipstick = None
    if rng.uniform() < 0.12:
        lipstick = (
            int(rng.integers(110, 200)),
            int(rng.integers(20, 70)),
            int(rng.integers(30, 90)),
        )
    return Grooming(
        volume=float(np.exp(_clipped(rng, 0.3, 0.7))),
        length=_clipped(rng, 7, 16),
        hairline=_clipped(rng, 2.2, 5),
        hair_tone=float(np.exp(_clipped(rng, 0.15, 0.3))),
        beard=float(rng.uniform(0.55, 1.1)),
        lipstick=lipstick,
    )


def _light(rng: np.random.Generator) -> Light:
    sideways, up = _clipped(rng, 0.75, 1.35), rng.uniform(-0.35, 1.0)
    direction = np.array(
        [np.sin(sideways) * np.cos(up), -np.sin(up), np.cos(sideways) * np.cos(up)]
    )
    warmth, green = rng.normal(0, 0.2), rng.normal(0, 0.05)
    ambient_warmth = rng.normal(0, 0.15)
    return Light(
        direction=direction,
        diffuse=float(rng.uniform(0.35, 1.1)),
        ambient=float(rng.uniform(0.18, 0.6)),
        color=np.exp([warmth, green, -warmth]),
        ambient_color=np.exp([ambient_warmth, 0, -ambient_warmth]),
        shine=float(rng.uniform(0, 0.35)),
        background=float(rng.uniform(0.25, 1.1)),
    )


def _occlusion(rng: np.random.Generator) -> Occlusion:
    kind = rng.uniform()
    bar = None
    if kind < 0.1:
        # A hand, a cup, a microphone: it comes in from the side or from below.
        angle = rng.uniform(-0.4, np.pi + 0.4)
        away = np.array([np.cos(angle), np.sin(angle)])
        tip = np.array([56, 66]) + away * rng.uniform(14, 42)
        half = np.array([-away[1], away[0]]) * rng.uniform(7, 14)
        bar = np.stack([tip - half, tip + half, tip + half + 120 * away, tip - half + 120 * away])
    glasses = rng.uniform()
    num_strands = int(rng.integers(1, 4)) if rng.uniform() < 0.12 else 0
    starts = rng.uniform((-32, -40), (32, -30), (num_strands, 2))
    ends = starts + rng.uniform((-16, 25), (16, 85), (num_strands, 2))
    bends = (starts + ends) / 2 + rng.normal(0, 4, (num_strands, 2))
    return Occlusion(
        glasses="dark" if glasses < 0.04 else "clear" if glasses < 0.2 else None,
        glasses_shape=float(rng.uniform()),
        glasses_color=tuple((np.array(_color(rng)) // (1 if rng.uniform() < 0.4 else 5)).tolist()),
        cap=float(rng.uniform(-32, -17)) if 0.1 < kind < 0.18 else None,
        scarf=float(rng.uniform(46, 58)) if 0.18 < kind < 0.24 else None,
        cloth=_color(rng),
        bar=bar,
        bar_color=_color(rng),
        strands=np.stack([starts, bends, ends], axis=1),
    )


def _sensor(rng: np.random.Generator) -> Sensor:
    poor = rng.uniform() < 0.3
    return Sensor(
        exposure=float(np.exp(0.12 + _clipped(rng, 0.28, 0.55))),
        gamma=float(np.exp(rng.normal(0, 0.15))),
        saturation=0.0 if rng.uniform() < 0.06 else float(rng.uniform(0.45, 1.2)),
        blur=float(rng.uniform(0, 1.1)),
        shrink=float(rng.uniform(0.4, 0.8)) if poor else 1.0,
        noise=min(14.0, rng.exponential(4.5)),
        jpeg_quality=int(rng.integers(35, 92)) if rng.uniform() < 0.4 else None,
    )


def _background(rng: np.random.Generator) -> Background:
    num_shapes = int(rng.integers(2, 8))
    centers = rng.uniform(-5, 117, (num_shapes, 1, 2))
    shapes = centers + rng.normal(0, 16, (num_shapes, 4, 2)) * rng.uniform(
        0.4, 1.6, (num_shapes, 1, 2)
    )
    return Background(
        colors=tuple(_color(rng) for _ in range(num_shapes + 2)),
        angle=float(rng.uniform(0, 2 * np.pi)),
        shapes=shapes,
        clothes=_color(rng),
    )
