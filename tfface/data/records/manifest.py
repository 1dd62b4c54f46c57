"""dataset.json and identities.csv: what a converted dataset says about itself.

    dataset.json       format_version, num_images, num_identities, image_size, attributes, sources,
                       left_out, seed, shards, labels
    identities.csv     label, name, source, num_images
    labels.int32       the label of each record, see `labels_file`
    data-00000-of-00016.tfrecord ...

`image_size` is [height, width], or null when the images differ; `attributes` are the names of what
some records say of their images besides (pose, light, ...). Folders of an earlier version have no
labels.int32. dataset.json is written last, so a folder that has one is complete.
"""

import csv
import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field

from tfface.errors import InputError
from tfface.files import is_file_name, parse_json, read_regular, replacing, write_csv
from tfface.json_file import Count, ListOf, Text, check_version, checked_as
from tfface.names import cell_text, safe_row
from tfface.text_file import check_columns

FORMAT_VERSION = 1
DATASET_FILE = "dataset.json"
IDENTITIES_FILE = "identities.csv"


class Identity(NamedTuple):
    """A person; its place in a source's list of identities is its label.

    Attributes:
        name: unique within `source`.
        source: the dataset that the person came from.

    Example:
        >>> Identity("ann", source="people").name
        'ann'
    """

    name: str
    source: str


def _file_name(name: str) -> str:
    # Nothing but a name: other files of this machine are nobody's shards.
    if not is_file_name(name):
        raise ValueError("not a file's name")
    return name


def _utf8(name: str) -> str:
    # Records' keys are UTF-8.
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError("no text in UTF-8") from None
    return name


_EXACTLY = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Shard:
    """One record file: its name in the folder, and what it must be."""

    __pydantic_config__ = _EXACTLY

    file: Annotated[Text, AfterValidator(_file_name)]
    records: Count
    bytes: Count
    sha256: Text


@dataclass(frozen=True)
class LabelsEntry:
    """The file of all labels: its name in the folder, and the hash of its content."""

    __pydantic_config__ = _EXACTLY

    file: Annotated[Text, AfterValidator(_file_name)]
    sha256: Text


@dataclass(frozen=True)
class SourceSummary:
    """What one converted source gave."""

    __pydantic_config__ = _EXACTLY

    name: Text
    format: Text
    num_images: Count
    num_identities: Count


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
        left_out: (why, identities, images) for each reason to take less than the sources hold.
        labels: the file of the records' labels; None in folders of an earlier version.
    """

    identities: list[Identity]
    images_per_identity: list[int]
    image_size: tuple[int, int] | None
    sources: list[SourceSummary]
    seed: int
    shards: list[Shard]
    attributes: tuple[str, ...] = ()
    left_out: list[tuple[str, int, int]] = field(default_factory=list)
    labels: LabelsEntry | None = None

    @property
    def num_images(self) -> int:
        return sum(shard.records for shard in self.shards)


@dataclass(frozen=True)
class _LeftOut:
    reason: Text
    num_identities: Count
    num_images: Count


@dataclass(frozen=True)
class _IdentityRow:
    """A row of identities.csv, whose numbers are text."""

    label: Annotated[int, Field(ge=0)]
    name: Text
    source: Text
    num_images: Annotated[int, Field(ge=0)]


def _all_different(shards: list[Shard]) -> list[Shard]:
    if len({shard.file for shard in shards}) < len(shards):
        raise ValueError("a shard is listed twice")
    return shards


@dataclass(frozen=True)
class _Content:
    """dataset.json. Folders of earlier versions lack `attributes`, `left_out` or `labels`."""

    num_images: Count
    num_identities: Count
    image_size: tuple[Count, Count] | None
    sources: ListOf[SourceSummary]
    seed: Count
    shards: Annotated[ListOf[Shard], AfterValidator(_all_different)]
    attributes: Annotated[
        tuple[Annotated[Text, AfterValidator(_utf8)], ...], Field(fail_fast=True)
    ] = ()
    left_out: ListOf[_LeftOut] = field(default_factory=list)
    labels: LabelsEntry | None = None


def write(folder: Path, dataset: DatasetFolder) -> None:
    """Writes both files, dataset.json last."""
    counted = zip(dataset.identities, dataset.images_per_identity, strict=True)
    write_csv(
        folder / IDENTITIES_FILE,
        ["label", "name", "source", "num_images"],
        (
            safe_row([label, *identity, num_images])
            for label, (identity, num_images) in enumerate(counted)
        ),
    )
    content = {
        "format_version": FORMAT_VERSION,
        "num_images": dataset.num_images,
        "num_identities": len(dataset.identities),
        "image_size": dataset.image_size,
        "attributes": dataset.attributes,
        "sources": [dataclasses.asdict(source) for source in dataset.sources],
        "left_out": [
            {"reason": why, "num_identities": num_identities, "num_images": num_images}
            for why, num_identities, num_images in dataset.left_out
        ],
        "seed": dataset.seed,
        "shards": [dataclasses.asdict(shard) for shard in dataset.shards],
    }
    if dataset.labels is not None:
        content["labels"] = dataclasses.asdict(dataset.labels)
    _write_content(folder, content)


def set_labels(folder: Path, labels: LabelsEntry) -> None:
    """Notes the file of labels in the dataset.json of a folder, and changes nothing else."""
    content = parse_json(read_regular(folder / DATASET_FILE))
    _write_content(folder, content | {"labels": dataclasses.asdict(labels)})


def _write_content(folder: Path, content: dict) -> None:
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
        content = parse_json(read_regular(path))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"{folder}: not a converted dataset (it has no {DATASET_FILE}); "
            "tfface convert makes one"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path}: can't be read: {error}") from error
    check_version(path, content, "format_version", FORMAT_VERSION)
    identities, images_per_identity = _read_identities(folder / IDENTITIES_FILE)
    try:
        said = checked_as(_Content, content)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    counts = (said.num_images, said.num_identities)
    dataset = DatasetFolder(
        identities=identities,
        images_per_identity=images_per_identity,
        image_size=said.image_size,
        sources=said.sources,
        seed=said.seed,
        shards=said.shards,
        attributes=said.attributes,
        left_out=[dataclasses.astuple(entry) for entry in said.left_out],
        labels=said.labels,
    )

    problems = []
    listed = (sum(dataset.images_per_identity), len(dataset.identities))
    if counts != listed or counts[0] != dataset.num_images:
        problems.append(
            f"{path}: {counts[0]} images of {counts[1]} identities, but its shards hold "
            f"{dataset.num_images} and {IDENTITIES_FILE} lists {listed[0]} of {listed[1]}"
        )
    if not counts[0]:
        raise InputError(f"{path}: a dataset without images")
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
            reader = csv.DictReader(file, restkey="more")
            check_columns(path, reader.fieldnames or [])
            cells = list(reader)
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except csv.Error as error:
        raise InputError(f"{path}: can't be read: {error}") from error
    try:
        rows = checked_as(ListOf[_IdentityRow], cells)
    except ValueError as error:
        raise InputError(
            f"{path}: needs the columns label, name, source, num_images (the first and the last "
            "of them whole numbers)"
        ) from error
    if any(row.label != label for label, row in enumerate(rows)):
        raise InputError(f"{path}: the labels are not 0, 1, 2, ... in order")
    identities = [Identity(cell_text(row.name), cell_text(row.source)) for row in rows]
    return identities, [row.num_images for row in rows]
