"""A source of single files with attributes, such as K-Face is: PERSON/POSE-LIGHT.jpg."""

from pathlib import Path

import numpy as np

from tests.data.small_faces import encoded
from tfface.data.dataset_folder import Identity
from tfface.data.sources.image_files import ImageFiles


class PosedFaces(ImageFiles):
    """One folder per person; the pose and the light of an image are in its file's name."""

    def __init__(self, path: Path, *, name: str | None = None):
        self.name = name or path.name
        files = sorted(file.relative_to(path) for file in path.glob("*/*.jpg"))
        people = [file.parts[0] for file in files]
        found, labels = np.unique(people, return_inverse=True)
        self.identities = [Identity(person, self.name) for person in found]
        self.labels = labels.astype(np.int32)
        conditions = [file.stem.split("-") for file in files]
        attributes = {
            name: np.array([condition[place] for condition in conditions], object)
            for place, name in enumerate(("pose", "light"))
        }
        self._set_files(path, [str(file).encode() for file in files], attributes)


def write_posed_faces(
    root: Path,
    num_people: int,
    poses: tuple[str, ...] = ("C1", "C7", "C13"),
    lights: tuple[str, ...] = ("L1", "L30"),
) -> Path:
    seed = 0
    for person in range(num_people):
        (root / f"p{person:02d}").mkdir(parents=True)
        for pose in poses:
            for light in lights:
                (root / f"p{person:02d}" / f"{pose}-{light}.jpg").write_bytes(encoded(seed))
                seed += 1
    return root
