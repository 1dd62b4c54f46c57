"""Inputs with the same bits on every machine: numbers, images and folders of images.

NumPy guarantees the draws of `RandomState`. Only integers and uniform floats are drawn: other
distributions use functions whose last bit depends on the machine. Images are uncompressed PNGs, so
they do not depend on an encoder.
"""

import math
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

SIZE = 32
_CELLS = 8
# Larger arrays repeat this many draws. A prime number, so that no two rows are equal.
_MAX_DRAWS = 65_521


def uniform(seed: int, shape: tuple[int, ...], low: float = -1.0, high: float = 1.0) -> np.ndarray:
    """Returns float32 numbers from `low` to `high`."""
    drawn = np.random.RandomState(seed).uniform(low, high, min(math.prod(shape), _MAX_DRAWS))
    return np.resize(drawn.astype("float32"), shape)


def image(*patterns: tuple[int, float]) -> np.ndarray:
    """Returns an image of colored squares: uint8 [32, 32, 3], RGB.

    Args:
        patterns: (seed, weight) of each random pattern to be summed.
    """
    cells = np.full((_CELLS, _CELLS, 3), 128.0)
    for seed, weight in patterns:
        pattern = np.random.RandomState(seed).randint(-128, 128, cells.shape)
        cells += np.rint(weight * pattern)
    cells = np.clip(cells, 0, 255).astype(np.uint8)
    return cells.repeat(SIZE // _CELLS, axis=0).repeat(SIZE // _CELLS, axis=1)


def face(person: int, number: int) -> np.ndarray:
    """Returns image `number` of a person: a pattern of the person and one of the image."""
    return image((person, 0.5), (1000 * (person + 1) + number, 0.9))


def png(pixels: np.ndarray) -> bytes:
    """Encodes uint8 [height, width, 3] as PNG; less than 64 KB of pixels."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    # One stored block; versions of zlib may split stored blocks differently.
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF) + rows
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
        b"IDAT": stored + struct.pack(">I", zlib.adler32(rows)),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks.items()
    )


def write_face(path: Path, person: int, number: int) -> None:
    write(path, png(face(person, number)))


def write_people(folder: Path, people: Iterable[int], numbers: Iterable[int]) -> None:
    """Writes images of people as `PERSON/NUMBER.png`."""
    numbers = list(numbers)
    for person in people:
        for number in numbers:
            write_face(folder / f"person{person:02d}" / f"{number}.png", person, number)


def write(path: Path, content: bytes | str) -> None:
    """Writes a file and makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
