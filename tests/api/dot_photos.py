"""Photos of people whose faces are dots; their size is what tells one person from another."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.alignment.dots import DotDetector, draw_photo
from tfface.alignment.faces import Face

# Person -> radius of the dots, for a face of 112 pixels.
RADII = {"Anna": 2.5, "Ben": 6.0, "Cleo": 9.0}


def photo_of(person: str, number: int = 0) -> Image.Image:
    """A photo of one person; of every number at another place and in another size."""
    scale = 1.2 + 0.2 * number
    photo, _ = draw_photo(center=(190 + 5 * number, 140), scale=scale, radius=RADII[person] * scale)
    return photo


def group_photo(*people: str) -> Image.Image:
    """People side by side."""
    return Image.fromarray(np.hstack([np.asarray(photo_of(person)) for person in people]))


def landscape() -> Image.Image:
    """A photo without a face."""
    return Image.new("RGB", (400, 300), (60, 60, 60))


def write_photos(folder: Path, people: dict[str, range]) -> Path:
    """Writes photos as PERSON/NUMBER.png."""
    for person, numbers in people.items():
        (folder / person).mkdir(parents=True)
        for number in numbers:
            photo_of(person, number).save(folder / person / f"{number}.png")
    return folder


class GroupDetector:
    """Finds the face in each 400 pixels of a photo's width."""

    def detect(self, picture: Image.Image) -> list[Face]:
        found = []
        for left in range(0, picture.width, 400):
            part = picture.crop((left, 0, left + 400, picture.height))
            for face in DotDetector().detect(part):
                shift = np.array([left, 0])
                box = face.box + np.tile(shift, 2)
                found.append(Face(box, face.landmarks + shift, face.confidence))
        return found
