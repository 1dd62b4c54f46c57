"""Records and record files."""

import os

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tfface.data.records import example
from tfface.data.records.example import Record
from tfface.data.records.reader import RecordFiles
from tfface.errors import InputError


def write(path, contents):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in contents:
            writer.write(content)
    return path


@given(st.binary(), st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 2**31 - 1))
def test_round_trip(encoded, filename, label):
    record = Record(encoded, filename)
    serialized = example.serialize(record, label)
    assert example.deserialize(serialized) == (record, label)
    assert example.serialize(record, label) == serialized


def by_protobuf(record, label) -> bytes:
    """What TensorFlow's own message is as bytes."""
    message = tf.train.Example()
    features = message.features.feature
    for key, feature in record.attributes.items():
        features[key].CopyFrom(feature)
    features["image/encoded"].bytes_list.value.append(record.encoded)
    features["image/source_id"].int64_list.value.append(label)
    features["image/filename"].bytes_list.value.append(os.fsencode(record.filename))
    return message.SerializeToString(deterministic=True)


@given(st.binary(max_size=300), st.text(max_size=200), st.integers(-(2**63), 2**63 - 1))
@hypothesis.example(b"x" * 127, "y" * 128, 2**14)
@hypothesis.example(b"x" * (1 << 21), "y" * (1 << 14), 127)
@hypothesis.example(b"", os.fsdecode(b"caf\xe9"), 0)
def test_the_bytes_are_those_of_protobuf(encoded, filename, label):
    hypothesis.assume(is_name(filename))
    record = Record(encoded, filename)
    assert example.serialize(record, label) == by_protobuf(record, label)


def is_name(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


FEATURES = st.one_of(
    st.lists(st.binary(max_size=200), max_size=3).map(
        lambda values: tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    ),
    st.lists(st.floats(width=32, allow_nan=False), max_size=3).map(
        lambda values: tf.train.Feature(float_list=tf.train.FloatList(value=values))
    ),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3).map(
        lambda values: tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    ),
    st.just(tf.train.Feature()),
)
# Before, between and behind the keys that all records have.
KEYS = st.sampled_from(
    ["", "a", "image/attribute/pose", "image/f", "image/z", "\U0001f600", "\uffff"]
)


@given(st.dictionaries(KEYS, FEATURES))
def test_the_bytes_of_attributes_are_those_of_protobuf(attributes):
    record = Record(b"pixels", "1.jpg", attributes)
    assert example.serialize(record, 7) == by_protobuf(record, 7)


def test_a_file_of_frames_is_one_of_tensorflow(tmp_path):
    records = [b"", b"x", b"y" * 300, b"z" * 70_000]
    write(tmp_path / "a", records)
    frames = b"".join(part for record in records for part in example.framed(record))
    assert frames == (tmp_path / "a").read_bytes()


def test_a_parser_that_knows_the_three_keys_reads_them():
    """As arcface-tf2 parses its records."""
    attribute = tf.train.Feature(float_list=tf.train.FloatList(value=[1.5]))
    record = Record(b"pixels", "ann/1.jpg", {"image/yaw": attribute})
    parsed = tf.io.parse_single_example(
        example.serialize(record, 7),
        {
            "image/source_id": tf.io.FixedLenFeature([], tf.int64),
            "image/filename": tf.io.FixedLenFeature([], tf.string),
            "image/encoded": tf.io.FixedLenFeature([], tf.string),
        },
    )
    assert parsed["image/source_id"] == 7
    assert parsed["image/filename"] == b"ann/1.jpg"
    assert parsed["image/encoded"] == b"pixels"


def test_attributes_travel_along():
    attribute = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"S001"]))
    record = Record(b"pixels", "1.jpg", {"image/accessory": attribute})
    assert example.deserialize(example.serialize(record, 0))[0] == record


def test_parsed_per_batch():
    batch = tf.constant([example.serialize(Record(b"p%d" % i, str(i)), 10 + i) for i in range(3)])
    assert example.parse_encoded(batch).numpy().tolist() == [b"p0", b"p1", b"p2"]
    assert example.parse_labels(batch).numpy().tolist() == [10, 11, 12]


def test_files_read_as_one_list(tmp_path):
    serialized = [example.serialize(Record(b"x" * i, f"{i}"), i * i) for i in range(7)]
    files = [write(tmp_path / "a", serialized[:3]), write(tmp_path / "b", serialized[3:])]
    for counts in (None, [3, 4]):
        found = RecordFiles(files, counts)
        assert found.starts.tolist() == [0, 3, 7]
        assert found.labels().tolist() == [i * i for i in range(7)]
        assert found.read(5) == (Record(b"x" * 5, "5"), 25)


def test_a_wrong_count_is_an_error(tmp_path):
    file = write(tmp_path / "a", [example.serialize(Record(b"", ""), 0)])
    with pytest.raises(InputError, match="a: holds 1 records, but should hold 2"):
        RecordFiles([file], [2]).labels()


def test_damaged_files_are_errors(tmp_path):
    file = write(tmp_path / "a", [example.serialize(Record(b"pixels" * 50, "a"), 0)] * 3)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(InputError, match="a: ends inside record 2: it is damaged"):
        RecordFiles([file])
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    file.write_bytes(flipped)
    with pytest.raises(InputError, match="a: can't be read as face records: corrupted record"):
        RecordFiles([file]).labels()


def test_other_records_are_errors(tmp_path):
    file = write(tmp_path / "a", [b"not an example", tf.train.Example().SerializeToString()])
    for index in (0, 1):
        with pytest.raises(InputError, match=f"a: record {index}: not a face record"):
            RecordFiles([file]).read(index)
    with pytest.raises(InputError, match=r"a: record 0: not a face record: no tf\.train"):
        RecordFiles([file]).labels()


@pytest.mark.parametrize(
    ("features", "why"),
    [
        ({}, "it has no image/encoded; its keys are: none"),
        ({"label": 3, "image": b""}, "it has no image/encoded; its keys are: image, label"),
        ({example.ENCODED: b"", example.FILENAME: b""}, "it has no image/source_id; its keys are:"),
        (
            {example.ENCODED: b"", example.FILENAME: b"", example.LABEL: b"7"},
            "image/source_id is not one whole number",
        ),
        (
            {example.ENCODED: 3, example.FILENAME: b"", example.LABEL: 7},
            "image/encoded is not one byte string",
        ),
    ],
)
def test_what_is_wrong_with_a_record_is_said(tmp_path, features, why):
    """And with which one, though records are parsed many at a time."""
    message = tf.train.Example()
    for key, value in features.items():
        kind = "int64_list" if isinstance(value, int) else "bytes_list"
        getattr(message.features.feature[key], kind).value.append(value)
    good = example.serialize(Record(b"", ""), 0)
    file = write(tmp_path / "a", [good] * 1500 + [message.SerializeToString()] + [good])
    with pytest.raises(InputError, match=f"a: record 1500: not a face record: {why}"):
        RecordFiles([file]).read(1500)
    if example.LABEL in features and features[example.LABEL] == 7:
        # Labels alone are read, and are fine.
        assert RecordFiles([file]).labels()[1500] == 7
    else:
        with pytest.raises(InputError, match=f"a: record 1500: not a face record: {why}"):
            RecordFiles([file]).labels()


def test_numbers_of_records_that_can_not_be(tmp_path):
    file = write(tmp_path / "a", [example.serialize(Record(b"", ""), 0)])
    with pytest.raises(InputError, match=r"a: 1000000000000 records can't be in \d+ bytes"):
        RecordFiles([file], [10**12])
    for count in (0, 2):
        with pytest.raises(InputError, match=f"a: holds 1 records, but should hold {count}"):
            RecordFiles([file], [count]).labels()
    with pytest.raises(InputError, match="a: holds 1 records, but should hold 2"):
        RecordFiles([file], [2]).read(1)
    with pytest.raises(InputError, match="gone: can't be read: No such file"):
        RecordFiles([tmp_path / "gone"], [1])


def test_paths(tmp_path):
    message = tf.train.Example()
    message.features.feature[example.LABEL].int64_list.value.append(5)
    message.features.feature[example.PATH].bytes_list.value.append(b"ann/1.jpg")
    message.features.feature["image/attribute/pose"].bytes_list.value.append(b"left")
    serialized = message.SerializeToString()
    path, label, attributes = example.deserialize_path(serialized)
    assert (path, label, list(attributes)) == (b"ann/1.jpg", 5, ["image/attribute/pose"])
    assert example.holds_path(serialized)
    assert not example.holds_path(example.serialize(Record(b"", ""), 0))
    files = RecordFiles([write(tmp_path / "a", [serialized] * 3)])
    assert files.paths().tolist() == [b"ann/1.jpg"] * 3
    assert files.labels(example.deserialize_path).tolist() == [5] * 3


def test_no_records(tmp_path):
    found = RecordFiles([write(tmp_path / "a", [])])
    np.testing.assert_array_equal(found.labels(), [])
