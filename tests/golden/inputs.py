"""What the pins are computed from: numbers, pictures and folders, the same bits on every machine.

Drawn with `RandomState`, whose numbers NumPy promises never to change, and only whole or uniform
ones, which need no function whose last bit a processor or library decides. Pictures are PNGs that
are not compressed, so no encoder has a say either.
"""

import math
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

SIZE = 32
_CELLS = 8
# A prime number: large arrays repeat so many draws, but no two of their rows are alike.
_MOST_DRAWN = 65_521


def uniform(seed: int, shape: tuple[int, ...], low: float = -1.0, high: float = 1.0) -> np.ndarray:
    """float32 numbers between `low` and `high`."""
    drawn = np.random.RandomState(seed).uniform(low, high, min(math.prod(shape), _MOST_DRAWN))
    return np.resize(drawn.astype("float32"), shape)


def picture(*parts: tuple[int, float]) -> np.ndarray:
    """A picture of coloured squares, uint8 [32, 32, 3], RGB.

    Args:
        parts: (seed, weight) of the random patterns it is the sum of.
    """
    cells = np.full((_CELLS, _CELLS, 3), 128.0)
    for seed, weight in parts:
        pattern = np.random.RandomState(seed).randint(-128, 128, cells.shape)
        cells += np.rint(weight * pattern)
    cells = np.clip(cells, 0, 255).astype(np.uint8)
    return cells.repeat(SIZE // _CELLS, axis=0).repeat(SIZE // _CELLS, axis=1)


def face(person: int, number: int) -> np.ndarray:
    """Picture `number` of a person: what all of them have in common, and what this one has."""
    return picture((person, 0.5), (1000 * (person + 1) + number, 0.9))


def png(pixels: np.ndarray) -> bytes:
    """The PNG file of a picture, uint8 [height, width, 3], of less than 64 KB."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    # zlib's own stored blocks may be cut in another place by another version.
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
    """Writes pictures of people as `PERSON/NUMBER.png`."""
    numbers = list(numbers)
    for person in people:
        for number in numbers:
            write_face(folder / f"person{person:02d}" / f"{number}.png", person, number)


def write(path: Path, content: bytes | str) -> None:
    """Writes a file, and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
