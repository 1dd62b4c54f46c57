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

import functools
import os
import struct
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
    filename, number = os.fsencode(record.filename), _varint(label)
    # Each key, what stands before its content, and that: in the order of protobuf (upb) when it is
    # asked to be deterministic.
    entries = [
        (ENCODED, _head_of_bytes(ENCODED, len(record.encoded)), record.encoded),
        (FILENAME, _head_of_bytes(FILENAME, len(filename)), filename),
        (LABEL, _head_of_number(LABEL, len(number)), number),
    ]
    if record.attributes:
        for key, feature in record.attributes.items():
            content = feature.SerializeToString(deterministic=True)
            entries.append((key, _head_of_feature(key, len(content)), content))
        # There the longer of two keys of which one begins the other comes first. No byte of UTF-8
        # is as large as the one that is added.
        entries.sort(key=lambda entry: entry[0].encode() + b"\xff")
    parts: list[bytes] = []
    for _, head, content in entries:
        parts += head, content
    return b"".join((_FIELD_1, _varint(sum(map(len, parts))), *parts))


# How protobuf writes messages: the number of a field and what is in it, as one byte; the length of
# what follows; then that. An Example is one field of Features, these are a field for each entry of
# their map, and an entry is a field of its key and one of its Feature. That is a field of one
# list, which numbers the types: 1 of byte strings, 3 of whole numbers.
_FIELD_1, _FIELD_2, _FIELD_3 = b"\x0a", b"\x12", b"\x1a"


@functools.lru_cache(1 << 16)
def _varint(number: int) -> bytes:
    """Returns a whole number of 64 bits in groups of 7 bits, the lowest first."""
    number &= (1 << 64) - 1
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


@functools.lru_cache(1 << 12)
def _head_of_bytes(key: str, num_bytes: int) -> bytes:
    """Returns what stands before the content of a feature that is one byte string."""
    return _head_of_list(key, _FIELD_1, num_bytes)


@functools.lru_cache(1 << 12)
def _head_of_number(key: str, num_bytes: int) -> bytes:
    """As `_head_of_bytes`, of one whole number that takes so many bytes."""
    return _head_of_list(key, _FIELD_3, num_bytes)


def _head_of_list(key: str, kind: bytes, num_bytes: int) -> bytes:
    head = _FIELD_1 + _varint(num_bytes)
    head = kind + _varint(len(head) + num_bytes) + head
    return _head_of_feature(key, len(head) + num_bytes) + head


def _head_of_feature(key: str, num_bytes: int) -> bytes:
    """Returns what stands before a feature in the entry of its key."""
    name = key.encode()
    head = _FIELD_1 + _varint(len(name)) + name + _FIELD_2 + _varint(num_bytes)
    return _FIELD_1 + _varint(len(head) + num_bytes) + head


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


def framed(serialized: bytes) -> tuple[bytes, bytes, bytes]:
    """Returns the three parts of which a TFRecord file holds a record: joined, they are its bytes.

    Args:
        serialized: of the record.
    """
    return _header(len(serialized)), serialized, _CHECKSUM.pack(masked_crc(serialized))


_LENGTH, _CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")


@functools.lru_cache(1 << 12)
def _header(num_bytes: int) -> bytes:
    length = _LENGTH.pack(num_bytes)
    return length + _CHECKSUM.pack(masked_crc(length))


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
