"""Inspecting a converted dataset: is it what it says it is, and what is in it?"""

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfface.data.records import labels_file, manifest
from tfface.data.records.manifest import DATASET_FILE, IDENTITIES_FILE, DatasetFolder
from tfface.data.records.reader import RecordFiles
from tfface.data.records.shard_check import MOST_VALUES, ShardContent, read_shard
from tfface.progress import image_workers

# Identities with fewer images than each of these are counted.
_FEW_IMAGES = (2, 5, 10, 20)
_MOST_SIZES = 50


@dataclass(frozen=True)
class Inspection:
    """What reading all of a dataset gave.

    Attributes:
        folder: of the dataset.
        dataset: what it says of itself.
        problems: where that is not so, one line each; empty when all is right.
        files: its records; an index counts those that there are, also where some are damaged.
        labels: int32 [records]; -1 where a record can't be read or is of nobody who is listed. All
            further figures are of the other records.
        num_bytes: int32 [records], size of each image file.
        digests: uint64 [records, 2], a hash of each image file.
        kinds: (format, height, width) -> images; ("unknown", 0, 0) where the header can't be read.
        attributes: name -> value -> images, or -> None when it has more than 1,000 values.
        seconds: how long the reading took.
    """

    folder: Path
    dataset: DatasetFolder
    problems: list[str]
    files: RecordFiles
    labels: np.ndarray
    num_bytes: np.ndarray
    digests: np.ndarray
    kinds: Counter
    attributes: dict[str, Counter | None]
    seconds: float

    @property
    def images_per_identity(self) -> np.ndarray:
        """As they were found: int64 [identities]."""
        return np.bincount(self.labels[self.labels >= 0], minlength=len(self.dataset.identities))

    @property
    def images_per_source(self) -> dict[str, np.ndarray]:
        """Source -> `images_per_identity` of its identities, in the order of the labels."""
        counts: dict[str, list[int]] = {}
        for identity, count in zip(
            self.dataset.identities, self.images_per_identity.tolist(), strict=True
        ):
            counts.setdefault(identity.source, []).append(count)
        return {source: np.array(of_source) for source, of_source in counts.items()}


def inspect_dataset(folder: Path, *, num_workers: int | None = None) -> Inspection:
    """Reads all of a dataset once and checks it against its other files.

    Of each file: size, SHA-256, number of records; of each record: checksums, that it is a face
    record, label, the image's header; of each identity: number of images. Memory holds 32 bytes for
    each image, and beside that a file's content as far as it is being read.

    Args:
        folder: as tfface convert wrote it.
        num_workers: threads; by default one per CPU. The result does not depend on it.
    Raises InputError: dataset.json or identities.csv can't be read as what it should be.
    """
    started = time.perf_counter()
    dataset, problems = manifest.read_with_problems(folder)
    contents = _read_shards(folder, dataset, num_workers or os.cpu_count() or 1)
    for content in contents:
        problems += content.problems
    kinds = sum((content.kinds for content in contents), Counter())
    digests = b"".join(content.digests for content in contents)
    files = [folder / shard.file for shard in dataset.shards]
    inspection = Inspection(
        folder=folder,
        dataset=dataset,
        problems=problems,
        files=RecordFiles(
            files,
            [len(content.labels) for content in contents],
            [np.asarray(content.offsets) for content in contents],
        ),
        labels=_concatenated([content.labels for content in contents]),
        num_bytes=_concatenated([content.num_bytes for content in contents]),
        digests=np.frombuffer(digests, np.uint64).reshape(-1, 2),
        kinds=kinds,
        attributes=_joined([content.attributes for content in contents]),
        seconds=time.perf_counter() - started,
    )
    problems += _wrong_counts(inspection) + _wrong_size(inspection)
    problems += labels_file.problems(folder, dataset, inspection.labels)
    return inspection


def _read_shards(folder: Path, dataset: DatasetFolder, num_workers: int) -> list[ShardContent]:
    def read(shard: manifest.Shard, advance: Callable[[int], None]) -> ShardContent:
        # One that is missing is a problem already.
        if not (folder / shard.file).is_file():
            return ShardContent()
        return read_shard(folder, shard, len(dataset.identities), advance)

    with image_workers(num_workers, dataset.num_images, "reading") as (submit, _):
        futures = [submit(read, shard) for shard in dataset.shards]
        return [future.result() for future in futures]


def _concatenated(parts: Sequence) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int32), *(np.asarray(part) for part in parts)])


def _joined(parts: Sequence[dict[str, Counter]]) -> dict[str, Counter | None]:
    """Adds up the attributes' values of all files."""
    joined: dict[str, Counter | None] = {}
    for name in sorted({name for part in parts for name in part}):
        values = sum((part.get(name, Counter()) for part in parts), Counter())
        joined[name] = values if len(values) <= MOST_VALUES else None
    return joined


def _wrong_counts(inspection: Inspection) -> list[str]:
    said = np.array(inspection.dataset.images_per_identity, np.int64)
    found = inspection.images_per_identity
    identities = inspection.dataset.identities
    return [
        f"{inspection.folder / IDENTITIES_FILE}: {identities[label].name} of "
        f"{identities[label].source} (label {label}) has {said[label]} images, but the files hold "
        f"{found[label]}"
        for label in np.flatnonzero(said != found)
    ]


def _wrong_size(inspection: Inspection) -> list[str]:
    said = inspection.dataset.image_size
    found = {(height, width) for kind, height, width in inspection.kinds if kind != "unknown"}
    if said is None or found <= {said}:
        return []
    others = sorted(found - {said})
    return [
        f"{inspection.folder / DATASET_FILE}: image_size is {list(said)}, but there are images of "
        f"{', '.join(f'{height} x {width}' for height, width in others[:5])}"
        + (f" and {len(others) - 5} other sizes" if len(others) > 5 else "")
    ]


def statistics(inspection: Inspection) -> dict:
    """Returns the figures of the images that could be read, as JSON can hold them.

    All counts of images are of what was found in the files, not of what dataset.json says.
    """
    dataset, counts = inspection.dataset, inspection.images_per_identity
    sizes, formats = Counter(), Counter()
    for (kind, height, width), images in inspection.kinds.items():
        sizes[height, width] += images
        formats[kind] += images
    return {
        "num_images": int(counts.sum()),
        "num_identities": len(counts),
        "num_files": len(dataset.shards),
        "sources": [
            {"name": name, "num_images": int(of_source.sum()), "num_identities": len(of_source)}
            for name, of_source in inspection.images_per_source.items()
        ],
        "images_per_identity": {
            **_spread(counts),
            "fewer_than": {str(few): int(np.count_nonzero(counts < few)) for few in _FEW_IMAGES},
        },
        "bytes_per_image": _spread(inspection.num_bytes[inspection.labels >= 0]),
        "image_sizes": [
            {"height": height, "width": width, "num_images": images}
            for (height, width), images in sizes.most_common(_MOST_SIZES)
        ],
        "num_image_sizes": len(sizes),
        "formats": dict(formats.most_common()),
        "attributes": {
            name: None if values is None else dict(sorted(values.items()))
            for name, values in inspection.attributes.items()
        },
    }


def _spread(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {"min": 0, "median": 0, "mean": 0, "max": 0, "sum": 0}
    return {
        "min": int(values.min()),
        "median": float(np.median(values)),
        "mean": float(values.mean()),
        "max": int(values.max()),
        "sum": int(values.sum(dtype=np.int64)),
    }
