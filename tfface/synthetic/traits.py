"""What makes up a person: everything that stays the same in all pictures of an identity.

Lengths are in head coordinates (see camera.py): pixels of a 112 x 112 crop, where the eyes lie
about 35 apart. Each group below is drawn by the function
of its name in head.py, eyes.py, nose.py, mouth.py or hair.py. people.py draws the values.
"""

from dataclasses import dataclass

import numpy as np

from tfface.synthetic.colors import Color


@dataclass(frozen=True)
class HairStyle:
    """Ranges from which a style draws its measures: (low, high) each."""

    top: tuple[float, float]  # volume above the skull
    side: tuple[float, float]  # volume beside the skull
    length: tuple[float, float]  # y where the hair beside the face ends
    hairline: tuple[float, float]  # y of the hairline in the middle; -30 is usual
    recession: tuple[float, float]  # how much higher the hairline is at the temples
    ripple: tuple[float, float]  # how far locks or curls stand out of the outline
    cover: float = 1.0  # opacity: below 1 the skin shows through


HAIR_STYLES = {
    "bald": HairStyle((0, 0), (0, 1), (0, 8), (-60, -60), (0, 0), (0, 0), 0.0),
    "buzz": HairStyle((1, 2), (0, 1), (-4, 6), (-36, -26), (0, 8), (0, 0.3), 0.72),
    "short": HairStyle((4, 9), (1, 5), (-6, 10), (-37, -25), (-2, 9), (0, 1.5)),
    "receding": HairStyle((2, 6), (1, 4), (-4, 10), (-44, -38), (6, 12), (0, 1)),
    "fringe": HairStyle((5, 10), (3, 8), (2, 30), (-24, -12), (-5, 1), (0.5, 2)),
    "bob": HairStyle((5, 10), (6, 12), (34, 58), (-36, -22), (-6, 4), (0, 1.5)),
    "long": HairStyle((4, 10), (5, 12), (80, 100), (-38, -24), (-5, 4), (0, 2.5)),
    "curly": HairStyle((7, 14), (6, 13), (10, 60), (-36, -24), (-4, 4), (2.5, 4)),
    "afro": HairStyle((12, 20), (9, 16), (4, 26), (-38, -28), (-3, 3), (1.5, 2.6)),
    "tied": HairStyle((2, 5), (0, 2), (-10, 2), (-40, -31), (-3, 5), (0, 0.5)),
}


@dataclass(frozen=True)
class Face:
    """Outline of the head and color of the skin."""

    half_width: float  # at the eyes
    cheek: float  # half width at the cheekbones
    jaw: float  # half width at the mouth
    chin_half_width: float
    chin_y: float
    chin_square: float  # 0 pointed, 1 square
    neck: float
    skin: Color
    blush: float
    cheekbone: float  # relief under the light
    brow_ridge: float
    age: float  # 0 smooth, 1 lined


@dataclass(frozen=True)
class Eyes:
    spacing: float  # half the distance between the eyes
    half_width: float
    half_height: float
    tilt: float  # > 0: outer corner lower
    peak: float  # where the upper lid is highest, -1 inner to 1 outer
    lower: float  # curvature of the lower lid
    crease: float  # distance of the lid's fold above the lash line
    hood: float  # opacity of the fold
    lashes: float
    iris: Color
    iris_radius: float
    socket: float  # darkness around the eye
    bags: float


@dataclass(frozen=True)
class Brows:
    height: float
    thickness: float
    length: float
    gap: float  # x of the inner end
    angle: float
    arch: float
    taper: float
    opacity: float


@dataclass(frozen=True)
class Nose:
    length: float
    half_width: float
    bridge: float
    bridge_relief: float
    tip: float
    upturn: float
    nostril: float
    projection: float


@dataclass(frozen=True)
class Mouth:
    y: float
    half_width: float
    upper: float
    lower: float
    bow: float  # depth of the cupid's bow
    corners: float  # > 0: corners hang
    color: Color
    philtrum: float


@dataclass(frozen=True)
class Ears:
    size: float
    protrusion: float
    y: float
    lobe: float


@dataclass(frozen=True)
class Hair:
    style: str
    color: Color
    streak: float  # contrast of the strands
    top: float
    side: float
    length: float
    hairline: float
    recession: float
    peak: float  # widow's peak
    part: float  # x of the parting
    sweep: float  # how much lower the hairline is on the far side of the parting
    ripple: float
    waves: int
    phase: float
    bun: bool


@dataclass(frozen=True)
class FacialHair:
    stubble: float
    beard: float  # opacity; 0 none
    reach: float  # y of its upper edge on the cheeks
    moustache: float
    moustache_width: float
    goatee: float


@dataclass(frozen=True)
class Marks:
    moles: np.ndarray  # float [n, 3]: x, y, radius
    freckles: np.ndarray  # float [n, 2]
    freckle_strength: float
    scar: np.ndarray | None  # float [2, 2]: its ends


@dataclass(frozen=True)
class Traits:
    """One identity."""

    face: Face
    eyes: Eyes
    brows: Brows
    nose: Nose
    mouth: Mouth
    ears: Ears
    hair: Hair
    facial_hair: FacialHair
    marks: Marks
