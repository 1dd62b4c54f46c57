"""From painted colors to a photograph: relief under a lamp, then lens, sensor and compression."""

import io

import numpy as np
from PIL import Image, ImageFilter

from tfface.synthetic.drawing import CROP, Camera, on_face
from tfface.synthetic.nuisance import Expression, Nuisance, Sensor
from tfface.synthetic.people import Traits

# What a full blush takes from red, green and blue.
_BLUSH = (0.1, 0.6, 0.55)
# The cheeks come first in `relief`.
_CHEEKS = slice(0, 2)


def relief(traits: Traits, expression: Expression) -> tuple[np.ndarray, np.ndarray]:
    """Returns the bumps and hollows of a face, as Gaussians.

    Returns:
        centers: float [n, 3], head coordinates.
        shapes: float [n, 4]: widths in x and y, height (> 0 towards the viewer), and how much
            darker the skin is there because little light gets in.
    """
    face, eyes, nose, mouth = traits.face, traits.eyes, traits.nose, traits.mouth
    smile, opened = max(0.0, expression.smile), expression.mouth_open
    rise, base = nose.projection, nose.length
    flat, lifts, shapes = [], [], []

    def add(x, y, width, height, amount, dark=0.0, lift=0.0):
        flat.append((x, y))
        lifts.append(lift)
        shapes.append((width, height, amount, dark))

    for side in (-1, 1):
        add(side * 21, 15 - 2 * smile, 9, 7, 1.6 + 2 * face.cheekbone + 1.5 * smile)
    for side in (-1, 1):
        add(side * eyes.spacing, 0, 8.5, 5.5, -2.6, 0.1 + eyes.socket)
        add(side * eyes.spacing, 0.5, 5, 3.6, 1.6)
        add(side * (eyes.spacing - 2), -9, 9, 3.4, 1.2 + 1.6 * face.brow_ridge)
        add(side * 24, 34, 8, 9, -1.6 * face.cheekbone, 0.12 * face.cheekbone)
        add(side * nose.half_width * 0.78, base - 2, 2.4, 2.6, 1.9, lift=0.3 * rise)
        add(side * 6.5, -1, 3, 4, -1.6, 0.1)
    for place, amount in ((0.05, 0.34), (0.35, 0.46), (0.65, 0.56)):
        add(
            0,
            place * base,
            nose.bridge,
            base * 0.22,
            amount * nose.bridge_relief * rise,
            lift=place * rise,
        )
    add(0, base - 3, nose.tip, 3.6, 0.6 * rise, lift=0.8 * rise)
    add(0, base + 3.4, nose.half_width, 2.6, -0.8, 0.24)
    add(0, mouth.y - 0.5 * mouth.upper, 0.6 * mouth.half_width, 2.6, 0.9)
    add(0, mouth.y + 0.6 * mouth.lower + 7 * opened, 0.5 * mouth.half_width, 2.6, 1.5)
    add(0, mouth.y + mouth.lower + 3 + 7 * opened, 0.6 * mouth.half_width, 2.4, -1.2, 0.2)
    add(0, face.chin_y - 6 + 3 * opened, 8, 5, 1.6)
    add(0, face.chin_y + 8 + 3 * opened, 22, 6, -1.0, 0.5)
    centers = on_face(np.array(flat, float))
    centers[:, 2] += lifts
    return centers, np.array(shapes)


def light_person(
    painted: np.ndarray, body: np.ndarray, traits: Traits, nuisance: Nuisance, camera: Camera
) -> np.ndarray:
    """Returns float32 [3, size, size], about 0..1: what is painted, under the light of the scene.

    The head is an ellipsoid with the bumps of `relief`; brightness is Lambert's law with a soft
    terminator, in linear light (squared grey levels). Colors are planes here, since NumPy is slow
    where the last axis is short.
    """
    light, size = nuisance.light, len(painted)
    grid = ((np.arange(size) + 0.5) * (CROP / size)).astype(np.float32)
    slope_x, slope_y, dark, cheeks = _slopes(traits, nuisance.expression, camera, grid)

    center = camera.project(np.array([[0.0, 4.0, 6.0]]))[0].astype(np.float32)
    u = ((grid - center[0]) / np.float32(46 * camera.scale))[None, :]
    v = ((grid - center[1]) / np.float32(70 * camera.scale))[:, None]
    steep = 30 / np.sqrt(1 - np.minimum(u * u + v * v, 0.93))
    slope_x -= steep * (u / 46)
    slope_y -= steep * (v / 70)

    x, y, z = light.direction.tolist()
    facing = (z - slope_x * x - slope_y * y) / np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    direct = np.maximum(0.2 + 0.8 * facing, 0) * (light.diffuse * (1 - 0.6 * dark))
    ambient = light.ambient * (1 - dark)
    glint = (0.2 * light.shine) * np.maximum(facing, 0) ** 12
    blush = traits.face.blush * cheeks

    linear = np.square(painted.transpose(2, 0, 1).astype(np.float32) * np.float32(1 / 255))
    share = body * np.float32(1 / 255)
    for channel in range(3):
        lamp, around = float(light.color[channel]), float(light.ambient_color[channel])
        person = linear[channel] * (ambient * around + direct * lamp) + glint * lamp
        person *= 1 - _BLUSH[channel] * blush
        behind = linear[channel] * (light.background * around)
        linear[channel] = behind + share * (person - behind)
    return np.sqrt(linear)


def _slopes(traits: Traits, expression: Expression, camera: Camera, grid: np.ndarray):
    """Returns four [size, size]: slopes in x and y, how dark it is, and where the cheeks are."""
    centers, shapes = relief(traits, expression)
    page = camera.project(centers).astype(np.float32)
    shapes = (shapes * [camera.scale, camera.scale, 1, 1]).astype(np.float32)
    width_x, width_y, height, dark = shapes.T[..., None]
    from_x = (grid - page[:, :1]) / width_x
    from_y = (grid - page[:, 1:]) / width_y
    bell_x, bell_y = np.exp(-0.5 * from_x * from_x), np.exp(-0.5 * from_y * from_y)

    # einsum's own loop, not BLAS: its sums don't depend on the number of threads.
    def total(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return np.einsum("ky,kx->yx", rows, columns)

    slope_x = total(bell_y * height, -bell_x * from_x / width_x)
    slope_y = total(-bell_y * from_y / width_y * height, bell_x)
    hollow = shapes[:, 3] > 0
    darkness = total((bell_y * dark)[hollow], bell_x[hollow])
    cheeks = total(bell_y[_CHEEKS], bell_x[_CHEEKS])
    return slope_x, slope_y, np.minimum(darkness, 0.85), cheeks


def photograph(lit: np.ndarray, sensor: Sensor, noise_seed: int) -> np.ndarray:
    """Returns uint8 [size, size, 3]: what a camera and an image file make of the scene.

    Args:
        lit: as `light_person` returns it.
    """
    size = lit.shape[-1]
    level = lit * np.float32(np.sqrt(sensor.exposure))
    # A soft shoulder, as cameras have one: bright skin keeps some color.
    over = np.maximum(level - 0.8, 0)
    level = np.minimum(level, 0.8) + 0.2 * over / (over + 0.2)
    level **= np.float32(sensor.gamma)
    grey = 0.299 * level[0] + 0.587 * level[1] + 0.114 * level[2]
    level = 255 * (grey + sensor.saturation * (level - grey))
    picture = Image.fromarray(_rounded(level.transpose(1, 2, 0)))
    if sensor.shrink < 1:
        small = max(16, round(size * sensor.shrink))
        picture = picture.resize((small, small), Image.Resampling.BILINEAR)
        picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    blur_pixels = sensor.blur * size / CROP
    if blur_pixels > 0.2:
        picture = picture.filter(ImageFilter.GaussianBlur(blur_pixels))
    noise = np.random.default_rng(noise_seed).standard_normal((size, size, 3), np.float32)
    pixels = _rounded(np.asarray(picture) + noise * np.float32(sensor.noise))
    if sensor.jpeg_quality is None:
        return pixels
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "JPEG", quality=sensor.jpeg_quality)
        return np.array(Image.open(file))


def _rounded(levels: np.ndarray) -> np.ndarray:
    return np.clip(levels + 0.5, 0, 255).astype(np.uint8)
