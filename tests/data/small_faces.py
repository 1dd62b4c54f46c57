"""Small pictures for the tests of the data layer."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def pixels(seed: int, size: int = 16) -> np.ndarray:
    """A smooth picture, uint8 [size, size, 3], another for every seed."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC))


def encoded(seed: int, size: int = 16, format: str = "JPEG", mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels(seed, size)).convert(mode).save(file, format)
    return file.getvalue()


def write_folder(root: Path, counts: dict[str, int], size: int = 16, *, first: int = 0) -> Path:
    """Writes `counts[name]` images in the folder `name` for each name; `first` is their seed."""
    seed = first
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            (root / name / f"{number}.jpg").write_bytes(encoded(seed, size))
            seed += 1
    return root
