"""Small converted datasets, and what may happen to them."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from tests.data.small_faces import write_folder
from tfface.data.records import example, manifest
from tfface.data.records.conversion import convert

COUNTS = {"ann": 3, "bob": 9, "cleo": 1, "dora 2": 7}


def make_dataset(folder: Path, counts=COUNTS, num_shards: int = 3) -> Path:
    """Converts drawn noise into the dataset folder/data."""
    convert([str(write_folder(folder / "faces", counts))], folder / "data", num_shards=num_shards)
    return folder / "data"


def shard(folder: Path, number: int) -> Path:
    return sorted(folder.glob("*.tfrecord"))[number]


def flip(file: Path, place: int) -> None:
    """Flips one bit of a file."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def edit_json(folder: Path, **changes: object) -> None:
    path = folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_identities(folder: Path, old: str, new: str) -> None:
    path = folder / "identities.csv"
    content = path.read_text()
    if old not in content:
        raise ValueError(f"{old!r} is not in {content!r}")
    path.write_text(content.replace(old, new))


def replace_shard(folder: Path, number: int, payloads: Sequence[bytes]) -> None:
    """Writes other records into a shard, and makes dataset.json say that it is so."""
    file = shard(folder, number)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for payload in payloads:
            writer.write(payload)
    dataset, _ = manifest.read_with_problems(folder)
    shards = [dataclasses.asdict(one) for one in dataset.shards]
    shards[number] |= {
        "records": len(payloads),
        "bytes": file.stat().st_size,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    num_images = sum(one["records"] for one in shards)
    edit_json(folder, shards=shards, num_images=num_images)


def payload(encoded: bytes, name: str, label: int, **attributes: str) -> bytes:
    record = example.Record(encoded, name, example.attribute_features(attributes))
    return example.serialize(record, label)
