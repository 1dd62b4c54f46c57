"""Who is who: the traits of a person, and their ranges, which decide how much people differ.

Traits stay the same in all pictures of an identity. Lengths are in head coordinates (see
drawing.py); the eyes lie about 35 apart. head.py and hair.py have a function for each group below.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tfface.synthetic.drawing import Color


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
class HeadShape:
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

    face: HeadShape
    eyes: Eyes
    brows: Brows
    nose: Nose
    mouth: Mouth
    ears: Ears
    hair: Hair
    facial_hair: FacialHair
    marks: Marks


_SKIN = (
    (252, 222, 198),
    (240, 196, 164),
    (222, 172, 132),
    (196, 138, 98),
    (150, 98, 66),
    (104, 68, 50),
)
_IRIS = {
    "brown": (92, 56, 30),
    "dark": (48, 32, 24),
    "hazel": (134, 104, 48),
    "green": (92, 128, 82),
    "blue": (82, 128, 172),
    "grey": (128, 140, 148),
}
_HAIR = {
    "black": (28, 24, 26),
    "dark_brown": (58, 40, 30),
    "brown": (100, 68, 44),
    "auburn": (122, 58, 34),
    "red": (176, 84, 38),
    "dark_blond": (158, 122, 76),
    "blond": (214, 180, 118),
    "grey": (146, 144, 144),
    "white": (216, 214, 210),
}


@lru_cache(maxsize=64)
def sample_traits(identity: int, seed: int) -> Traits:
    """Returns the traits of an identity: a function of (seed, identity) alone.

    Most traits are drawn independently, so that no one of them tells who somebody is. Three hidden
    factors (skin, sex and age) tie some together as they are tied in people.
    """
    rng = np.random.default_rng([seed, identity, 1])
    between = rng.uniform
    melanin = between() ** 1.2
    male = between()
    age = between() ** 1.5
    skin = _skin(rng, melanin)
    hair_color = _hair_color(rng, melanin, age)
    face = HeadShape(
        half_width=between(35.5, 42),
        cheek=between(33, 40.5),
        jaw=between(24.5, 33) + 3.5 * male,
        chin_half_width=between(8, 16) + 2 * male,
        chin_y=between(54.5, 66),
        chin_square=between(),
        neck=between(19, 26) + 5 * male,
        skin=skin,
        blush=between(0, 0.3) * (1 - 0.5 * melanin),
        cheekbone=between(0, 1),
        brow_ridge=between(0, 0.6) + 0.4 * male,
        age=age,
    )
    eyes = Eyes(
        spacing=between(15.4, 19.8),
        half_width=between(5.8, 8.6),
        half_height=between(2.3, 4.6),
        tilt=between(-1.8, 1.6),
        peak=between(-0.45, 0.45),
        lower=between(0.35, 0.95),
        crease=between(0.9, 3.2),
        hood=between(0.1, 0.8),
        lashes=between(0.7, 1.3) + 0.7 * (1 - male),
        iris=_iris(rng, melanin),
        iris_radius=between(2.9, 3.9),
        socket=between(0, 0.35),
        bags=between(0, 0.5) * age,
    )
    brows = Brows(
        height=between(7, 13),
        thickness=between(1.2, 3.4) + 1.2 * male,
        length=between(13, 18),
        gap=between(5.5, 10),
        angle=between(-3.2, 3.2),
        arch=between(0, 3.2),
        taper=between(0.2, 0.9),
        opacity=between(0.55, 1),
    )
    nose = Nose(
        length=between(17, 26),
        half_width=between(5.4, 10.4),
        bridge=between(2, 4.6),
        bridge_relief=between(0.3, 1),
        tip=between(2.6, 5.6),
        upturn=between(-1, 2),
        nostril=between(0.6, 1.5),
        projection=between(8, 15),
    )
    mouth = Mouth(
        y=nose.length + between(13.5, 20.5),
        half_width=between(10.5, 16.5),
        upper=between(1.4, 4.4) + between(0, 1.3) * melanin,
        lower=between(2.4, 5.6) + between(0, 1.6) * melanin,
        bow=between(0, 1),
        corners=between(-2.4, 1.2),
        color=_lips(rng, skin, male),
        philtrum=between(0, 0.35),
    )
    ears = Ears(
        size=between(9, 14.5), protrusion=between(1, 7), y=between(2, 12), lobe=between(0.3, 1)
    )
    hair = _hair(rng, hair_color, male, age, melanin)
    return Traits(
        face=face,
        eyes=eyes,
        brows=brows,
        nose=nose,
        mouth=mouth,
        ears=ears,
        hair=hair,
        facial_hair=_facial_hair(rng, male),
        marks=_marks(rng, melanin),
    )


def _between_colors(stops: tuple[Color, ...], position: float) -> np.ndarray:
    place = position * (len(stops) - 1)
    index = min(int(place), len(stops) - 2)
    low, high = np.array(stops[index], float), np.array(stops[index + 1], float)
    return low + (high - low) * (place - index)


def _as_color(values: np.ndarray) -> Color:
    red, green, blue = np.clip(values, 4, 252).astype(int).tolist()
    return red, green, blue


def _skin(rng: np.random.Generator, melanin: float) -> Color:
    warmth, redness = rng.normal(0, 5, 2)
    return _as_color(_between_colors(_SKIN, melanin) + np.array([redness, 0.4 * warmth, -warmth]))


def _iris(rng: np.random.Generator, melanin: float) -> Color:
    names = ("dark", "brown") if melanin > 0.55 and rng.uniform() < 0.9 else tuple(_IRIS)
    name = names[rng.integers(len(names))]
    return _as_color(np.array(_IRIS[name]) * rng.uniform(0.8, 1.25) + rng.normal(0, 6, 3))


def _lips(rng: np.random.Generator, skin: Color, male: float) -> Color:
    redness = rng.uniform(0.12, 0.55) * (1.25 - 0.7 * male)
    target = np.array([186, 62, 70]) * rng.uniform(0.7, 1.1) + rng.normal(0, 8, 3)
    return _as_color(np.array(skin) * 0.9 * (1 - redness) + target * redness)


def _hair_color(rng: np.random.Generator, melanin: float, age: float) -> Color:
    if rng.uniform() < 0.75 * max(0.0, age - 0.45):
        names = ("grey", "white")
    elif melanin > 0.5:
        names = ("black", "black", "dark_brown", "dark_brown", "brown", "auburn")
    else:
        names = ("black", "dark_brown", "brown", "auburn", "red", "dark_blond", "blond")
    name = names[rng.integers(len(names))]
    return _as_color(np.array(_HAIR[name]) * rng.uniform(0.8, 1.2) + rng.normal(0, 4, 3))


def _hair(rng, color: Color, male: float, age: float, melanin: float) -> Hair:
    likely = {
        "bald": 0.9 * male * age,
        "buzz": 0.7 * male,
        "short": 0.4 + 0.9 * male,
        "receding": 0.9 * male * age,
        "fringe": 0.7,
        "bob": 1.1 * (1 - male),
        "long": 1.3 * (1 - male),
        "curly": 0.6,
        "afro": 0.5 * melanin,
        "tied": 0.8 * (1 - male),
    }
    weights = np.array([likely[name] for name in HAIR_STYLES])
    name = tuple(HAIR_STYLES)[rng.choice(len(weights), p=weights / weights.sum())]
    style = HAIR_STYLES[name]
    between = rng.uniform
    return Hair(
        style=name,
        color=color,
        streak=between(0.1, 0.3),
        top=between(*style.top),
        side=between(*style.side),
        length=between(*style.length),
        hairline=between(*style.hairline),
        recession=between(*style.recession),
        peak=between(0, 5) * (between() < 0.4),
        part=between(-17, 17),
        sweep=between(0, 9) * (between() < 0.6),
        ripple=between(*style.ripple),
        waves=int(rng.integers(5, 12)),
        phase=between(0, 2 * np.pi),
        bun=name == "tied" and bool(between() < 0.5),
    )


def _facial_hair(rng: np.random.Generator, male: float) -> FacialHair:
    grows = male > 0.5
    kinds = rng.uniform(size=4) < (0.55, 0.28, 0.38, 0.25)
    stubble, beard, moustache, goatee = kinds & grows
    return FacialHair(
        stubble=rng.uniform(0.08, 0.3) * stubble,
        beard=rng.uniform(0.6, 0.95) * beard,
        reach=rng.uniform(14, 34),
        moustache=rng.uniform(0.6, 0.95) * (moustache or (beard and rng.uniform() < 0.7)),
        moustache_width=rng.uniform(0.75, 1.15),
        goatee=rng.uniform(0.6, 0.95) * goatee,
    )


def _marks(rng: np.random.Generator, melanin: float) -> Marks:
    num_moles = int(rng.integers(0, 4))
    moles = np.stack(
        [
            rng.uniform(-30, 30, num_moles),
            rng.uniform(-20, 52, num_moles),
            rng.uniform(0.7, 1.5, num_moles),
        ],
        axis=1,
    )
    num_freckles = int(rng.integers(12, 34)) if rng.uniform() < 0.3 * (1 - melanin) + 0.05 else 0
    freckles = rng.normal(0, 1, (num_freckles, 2)) * [14, 5] + [0, 13]
    scar = None
    if rng.uniform() < 0.1:
        start = rng.uniform((-28, -22), (28, 45))
        scar = np.stack([start, start + rng.uniform((-7, 4), (7, 12))])
    return Marks(moles, freckles, rng.uniform(0.2, 0.5), scar)
