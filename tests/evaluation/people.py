"""Small people for the tests of identification, whom the pixels tell apart."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from tests.data.small_faces import pixels
from tfface.data.sources.folder import FolderSource
from tfface.evaluation.labeled_faces import LabeledFaces, labeled_faces


def face(person: int, number: int, noise: float = 20) -> bytes:
    """A picture of a person: the same for all numbers, but for the noise."""
    drawn = np.random.default_rng([person, number]).normal(0, noise, (16, 16, 3))
    picture = np.clip(pixels(person) * 0.7 + 30 + drawn, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def write_people(root: Path, people: dict[int, range], noise: float = 20) -> Path:
    """Writes the pictures `people[n]` of each person n into the folder `personNN`."""
    for person, numbers in people.items():
        (root / f"person{person:02}").mkdir(parents=True)
        for number in numbers:
            (root / f"person{person:02}" / f"{number}.png").write_bytes(face(person, number, noise))
    return root


def read_people(root: Path) -> LabeledFaces:
    return labeled_faces(FolderSource(root))
