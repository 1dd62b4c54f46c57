"""A few pairs of LFW, out of the archive of the test data."""

import tarfile
from pathlib import Path

import numpy as np

from tfface.data.pairs import PairSet


def lfw(test_data: Path, num_genuine: int) -> PairSet:
    """Some genuine pairs of View 1's training list, and as many of different people."""
    with tarfile.open(test_data / "data" / "lfw_aligned_112.tar") as archive:
        files = {name.removeprefix("./"): name for name in archive.getnames()}
        (listed,) = (name for name in files if name.endswith("pairsDevTrain.txt"))
        lines = archive.extractfile(files[listed]).read().decode().split("\n")
        # A person's pairs follow each other.
        genuine = lines[1 : int(lines[0]) + 1]
        pairs = [line.split("\t") for line in genuine[:: len(genuine) // num_genuine]]
        pairs = pairs[:num_genuine]
        (images,) = {name[: name.index("AJ_Cook")] for name in files if "AJ_Cook/" in name}
        names = [
            files[f"{images}{person}/{person}_{int(number):04d}.jpg"]
            for person, *numbers in pairs
            for number in numbers
        ]
        encoded = [archive.extractfile(name).read() for name in names]
    first = np.arange(0, len(names), 2)
    return PairSet(
        name="lfw",
        images=encoded,
        image_names=names,
        first=np.tile(first, 2),
        second=np.concatenate([first + 1, (first + 3) % len(names)]),
        is_genuine=np.repeat([True, False], num_genuine),
    )
