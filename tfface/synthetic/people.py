"""Who is who: draws the traits of an identity. The ranges here decide how much people differ."""

from functools import lru_cache

import numpy as np

from tfface.synthetic.colors import Color
from tfface.synthetic.traits import (
    HAIR_STYLES,
    Brows,
    Ears,
    Eyes,
    Face,
    FacialHair,
    Hair,
    Marks,
    Mouth,
    Nose,
    Traits,
)

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
    face = Face(
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
