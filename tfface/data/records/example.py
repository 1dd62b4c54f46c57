"""Records of face images: the keys, and the only code that makes and parses them.

A record is a `tf.train.Example` with the keys of arcface-tf2, so its shards can be read here and
ours there:

    image/encoded     bytes: the image file, unchanged
    image/source_id   int64: the label, contiguous from 0
    image/filename    bytes: where the image came from

or, where the images stay files of their own, as arcface-tf2 writes as well,

    image/img_path    bytes: the file's path
    image/source_id   int64: the label

and beside them any attributes, of which those that are text have keys that begin with

    image/attribute/  + the attribute's name, as in image/attribute/pose
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import google_crc32c
import tensorflow as tf

from tfface.errors import InputError

ENCODED = "image/encoded"
LABEL = "image/source_id"
FILENAME = "image/filename"
PATH = "image/img_path"
# Of TFace, whose labels are in a file of their own.
IMAGE = "image"
ATTRIBUTE = "image/attribute/"
_MOST_NAMED = 10


@dataclass(frozen=True)
class Record:
    """An image as it travels between sources and record files.

    Attributes:
        encoded: the image file's bytes.
        filename: its path inside its source, or what the source calls it.
        attributes: further features of the image, by key; those of text by the key that
            `attribute_features` gives them.

    Example:
        >>> record = Record(b"encoded image", "ann/1.jpg", attribute_features({"pose": "left"}))
        >>> record, label = deserialize(serialize(record, label=7))
        >>> record.filename, label, attribute_value(record, "pose")
        ('ann/1.jpg', 7, 'left')
    """

    encoded: bytes
    filename: str
    attributes: Mapping[str, tf.train.Feature] = field(default_factory=dict)


def attribute_features(values: Mapping[str, str]) -> dict[str, tf.train.Feature]:
    """Returns the features of an image's attributes, which are text, by their names."""
    return {
        ATTRIBUTE + name: tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[value.encode(errors="surrogateescape")])
        )
        for name, value in values.items()
    }


def attribute_value(record: Record, name: str) -> str:
    """Returns the text of an attribute, "" where the record has none of that name.

    Args:
        record: of an image.
        name: of the attribute.
    """
    feature = record.attributes.get(ATTRIBUTE + name)
    if feature is None or not feature.bytes_list.value:
        return ""
    return feature.bytes_list.value[0].decode(errors="surrogateescape")


def attribute_values(record: Record) -> dict[str, str]:
    """Returns the texts of all attributes of a record, by their names."""
    names = [key.removeprefix(ATTRIBUTE) for key in record.attributes if key.startswith(ATTRIBUTE)]
    return {name: attribute_value(record, name) for name in names}


def serialize(record: Record, label: int) -> bytes:
    """Returns the Example's bytes; the same record and label always give the same bytes.

    Args:
        record: an image and what is known of it.
        label: of its identity, >= 0.
    """
    example = tf.train.Example()
    features = example.features.feature
    for key, feature in record.attributes.items():
        features[key].CopyFrom(feature)
    features[ENCODED].bytes_list.value.append(record.encoded)
    features[LABEL].int64_list.value.append(label)
    features[FILENAME].bytes_list.value.append(os.fsencode(record.filename))
    return example.SerializeToString(deterministic=True)


def deserialize(serialized: bytes) -> tuple[Record, int]:
    """Returns the record and its label.

    Raises InputError: not an Example, or one of the three keys is missing or holds something else.
    """
    features = _features(serialized)
    encoded, filename, label = (_pop(features, key) for key in (ENCODED, FILENAME, LABEL))
    return Record(encoded, os.fsdecode(filename), features), label


def deserialize_path(serialized: bytes) -> tuple[bytes, int, dict[str, tf.train.Feature]]:
    """Returns an image's path, its label, and the further features of its record.

    Raises InputError: not an Example, or one of the two keys is missing or holds something else.
    """
    features = _features(serialized)
    path, label = (_pop(features, key) for key in (PATH, LABEL))
    features.pop(FILENAME, None)
    return path, label, features


def deserialize_image(serialized: bytes) -> bytes:
    """Returns the image of a record of TFace, which has no label.

    Raises InputError: not an Example, or it has no image.
    """
    return _pop(_features(serialized), IMAGE)


def holds_path(serialized: bytes) -> bool:
    """Whether the record is one of an image's path.

    Raises InputError: not an Example.
    """
    features = _features(serialized)
    return PATH in features and ENCODED not in features


def masked_crc(data: bytes) -> int:
    """The checksum of TFRecord files: CRC-32C, turned and shifted so as not to be one of itself."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _features(serialized: bytes) -> dict[str, tf.train.Feature]:
    try:
        features = tf.train.Example.FromString(serialized).features.feature
        return {key: features[key] for key in features}
    except Exception as error:
        # protobuf has an error class of its own in each of its implementations.
        raise InputError("not a face record: no tf.train.Example") from error


def _pop(features: dict[str, tf.train.Feature], key: str) -> bytes | int:
    """Takes a feature of one value out of a record's."""
    if key not in features:
        keys = ", ".join(sorted(features)[:_MOST_NAMED]) or "none"
        raise InputError(f"not a face record: it has no {key}; its keys are: {keys}")
    feature = features.pop(key)
    values = (feature.int64_list if key == LABEL else feature.bytes_list).value
    if len(values) != 1:
        kind = "whole number" if key == LABEL else "byte string"
        raise InputError(f"not a face record: {key} is not one {kind}")
    return values[0]


def parse_encoded(serialized: tf.Tensor) -> tf.Tensor:
    """Parses a batch of records: string [batch] -> the images' bytes, string [batch]."""
    return tf.io.parse_example(serialized, {ENCODED: tf.io.FixedLenFeature([], tf.string)})[ENCODED]


def parse_labels(serialized: tf.Tensor) -> tf.Tensor:
    """Parses a batch of records: string [batch] -> labels, int64 [batch]."""
    return tf.io.parse_example(serialized, {LABEL: tf.io.FixedLenFeature([], tf.int64)})[LABEL]


def parse_paths(serialized: tf.Tensor) -> tf.Tensor:
    """Parses a batch of records: string [batch] -> the images' paths, string [batch]."""
    return tf.io.parse_example(serialized, {PATH: tf.io.FixedLenFeature([], tf.string)})[PATH]


def parse_attribute(serialized: tf.Tensor, name: str) -> tf.Tensor:
    """Parses a batch of records: string [batch] -> an attribute, string [batch], else "" each.

    Args:
        serialized: the records.
        name: of the attribute.
    """
    key = ATTRIBUTE + name
    return tf.io.parse_example(serialized, {key: tf.io.FixedLenFeature([], tf.string, "")})[key]
