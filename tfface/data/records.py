"""Records of face images: the keys, and the only code that makes and parses them.

A record is a `tf.train.Example` with the keys of arcface-tf2, so its shards can be read here and
ours there:

    image/encoded     bytes: the image file, unchanged
    image/source_id   int64: the label, contiguous from 0
    image/filename    bytes: where the image came from

and beside them any attributes, of which those that are text have keys that begin with

    image/attribute/  + the attribute's name, as in image/attribute/pose
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import tensorflow as tf

from tfface.errors import InputError

ENCODED = "image/encoded"
LABEL = "image/source_id"
FILENAME = "image/filename"
ATTRIBUTE = "image/attribute/"


@dataclass(frozen=True)
class Record:
    """An image as it travels between sources and record files.

    Attributes:
        encoded: the image file's bytes.
        filename: its path inside its source, or what the source calls it.
        attributes: further features of the image, by key; those of text by the key that
            `attribute_features` gives them.
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
    """Returns the text of an attribute, "" where the record has none of that name."""
    feature = record.attributes.get(ATTRIBUTE + name)
    if feature is None or not feature.bytes_list.value:
        return ""
    return feature.bytes_list.value[0].decode(errors="surrogateescape")


def attribute_values(record: Record) -> dict[str, str]:
    """Returns the texts of all attributes of a record, by their names."""
    names = [key.removeprefix(ATTRIBUTE) for key in record.attributes if key.startswith(ATTRIBUTE)]
    return {name: attribute_value(record, name) for name in names}


def serialize(record: Record, label: int) -> bytes:
    """Returns the Example's bytes; the same record and label always give the same bytes."""
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

    Raises InputError: not an Example, or one of the three keys is missing.
    """
    try:
        features = tf.train.Example.FromString(serialized).features.feature
        attributes = {key: features[key] for key in features}
        record = Record(
            encoded=attributes.pop(ENCODED).bytes_list.value[0],
            filename=os.fsdecode(attributes.pop(FILENAME).bytes_list.value[0]),
            attributes=attributes,
        )
        return record, attributes.pop(LABEL).int64_list.value[0]
    except Exception as error:
        # protobuf has an error class of its own in each of its implementations.
        raise InputError(
            f"not a face record (an Example with {ENCODED}, {LABEL} and {FILENAME}): {error!r}"
        ) from error


def parse_encoded(serialized: tf.Tensor) -> tf.Tensor:
    """Parses a batch of records: string [batch] -> the images' bytes, string [batch]."""
    return tf.io.parse_example(serialized, {ENCODED: tf.io.FixedLenFeature([], tf.string)})[ENCODED]


def parse_labels(serialized: tf.Tensor) -> tf.Tensor:
    """Parses a batch of records: string [batch] -> labels, int64 [batch]."""
    return tf.io.parse_example(serialized, {LABEL: tf.io.FixedLenFeature([], tf.int64)})[LABEL]


def parse_attribute(serialized: tf.Tensor, name: str) -> tf.Tensor:
    """Parses a batch of records: string [batch] -> an attribute, string [batch], else "" each."""
    key = ATTRIBUTE + name
    return tf.io.parse_example(serialized, {key: tf.io.FixedLenFeature([], tf.string, "")})[key]
