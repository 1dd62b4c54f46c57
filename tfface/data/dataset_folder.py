"""dataset.json and identities.csv: what a converted dataset says about itself.

    dataset.json       format_version, num_images, num_identities, image_size, attributes, sources,
                       seed, shards
    identities.csv     label, name, source, num_images
    data-00000-of-00016.tfrecord ...

`image_size` is [height, width], or null when the images differ; `attributes` are the names of what
some records say of their images besides (pose, light, ...). dataset.json is written last, so a
folder that has one is complete.
"""

import csv
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tfface.errors import InputError
from tfface.files import replacing

FORMAT_VERSION = 1
DATASET_FILE = "dataset.json"
IDENTITIES_FILE = "identities.csv"


class Identity(NamedTuple):
    """A person; its place in a source's list of identities is its label.

    Attributes:
        name: unique within `source`.
        source: the dataset that the person came from.
    """

    name: str
    source: str


@dataclass(frozen=True)
class Shard:
    """One record file: its name in the folder, and what it must be."""

    file: str
    records: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SourceSummary:
    """What one converted source gave."""

    name: str
    format: str
    num_images: int
    num_identities: int


@dataclass(frozen=True)
class DatasetFolder:
    """The content of dataset.json and identities.csv.

    Attributes:
        identities: position = label.
        images_per_identity: as long as `identities`.
        image_size: (height, width) when all images have that size, else None.
        sources: in the order in which they were given.
        seed: of the global shuffle.
        shards: in file order.
        attributes: names of what some records say besides, sorted.
    """

    identities: list[Identity]
    images_per_identity: list[int]
    image_size: tuple[int, int] | None
    sources: list[SourceSummary]
    seed: int
    shards: list[Shard]
    attributes: tuple[str, ...] = ()

    @property
    def num_images(self) -> int:
        return sum(shard.records for shard in self.shards)


def write(folder: Path, dataset: DatasetFolder) -> None:
    """Writes both files, dataset.json last."""
    with (
        replacing(folder / IDENTITIES_FILE) as path,
        path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["label", "name", "source", "num_images"])
        for label, (identity, num_images) in enumerate(
            zip(dataset.identities, dataset.images_per_identity, strict=True)
        ):
            writer.writerow([label, identity.name, identity.source, num_images])
    content = {
        "format_version": FORMAT_VERSION,
        "num_images": dataset.num_images,
        "num_identities": len(dataset.identities),
        "image_size": dataset.image_size,
        "attributes": dataset.attributes,
        "sources": [dataclasses.asdict(source) for source in dataset.sources],
        "seed": dataset.seed,
        "shards": [dataclasses.asdict(shard) for shard in dataset.shards],
    }
    with replacing(folder / DATASET_FILE) as path:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read(folder: Path) -> DatasetFolder:
    """Reads both files and checks them against each other and against the shards' sizes.

    Raises InputError: the folder is no finished dataset, or a file of it is missing or altered.
    """
    dataset, problems = read_with_problems(folder)
    if problems:
        raise InputError(problems[0])
    return dataset


def read_with_problems(folder: Path) -> tuple[DatasetFolder, list[str]]:
    """As `read`, but returns what does not fit together, one line each, in place of an error.

    Raises InputError: one of the two files can't be read as what it should be.
    """
    path = folder / DATASET_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"{folder}: not a converted dataset (it has no {DATASET_FILE}); "
            "tools/convert_tfrecord.py makes one"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: can't be read: {error}") from error
    if not isinstance(content, dict) or content.get("format_version") != FORMAT_VERSION:
        version = content.get("format_version") if isinstance(content, dict) else None
        raise InputError(f"{path}: format_version is {version!r}, and {FORMAT_VERSION} is known")
    try:
        dataset = DatasetFolder(
            *_read_identities(folder / IDENTITIES_FILE),
            image_size=tuple(content["image_size"]) if content["image_size"] else None,
            sources=[SourceSummary(**source) for source in content["sources"]],
            seed=content["seed"],
            shards=[Shard(**shard) for shard in content["shards"]],
            # Folders of version 0.1.0 have none.
            attributes=tuple(content.get("attributes", ())),
        )
        counts = (content["num_images"], content["num_identities"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: a field is missing or wrong: {error!r}") from error

    problems = []
    listed = (sum(dataset.images_per_identity), len(dataset.identities))
    if counts != listed or counts[0] != dataset.num_images:
        problems.append(
            f"{path}: {counts[0]} images of {counts[1]} identities, but its shards hold "
            f"{dataset.num_images} and {IDENTITIES_FILE} lists {listed[0]} of {listed[1]}"
        )
    for shard in dataset.shards:
        file = folder / shard.file
        if not file.is_file():
            problems.append(f"{file}: missing, though {DATASET_FILE} lists it")
        elif (size := file.stat().st_size) != shard.bytes:
            problems.append(f"{file}: {size} bytes, but {DATASET_FILE} says {shard.bytes}")
    return dataset, problems


def _read_identities(path: Path) -> tuple[list[Identity], list[int]]:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    try:
        labels = [int(row["label"]) for row in rows]
        identities = [Identity(row["name"], row["source"]) for row in rows]
        counts = [int(row["num_images"]) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: needs the columns label, name, source, num_images (the first and the last "
            "of them whole numbers)"
        ) from error
    if labels != list(range(len(rows))):
        raise InputError(f"{path}: the labels are not 0, 1, 2, ... in order")
    return identities, counts
