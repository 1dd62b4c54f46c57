"""Damaged record and index files: images or one clear error, and no more than that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.damage import damaged, only_input_errors
from tests.data.recordio_writer import MAGIC, insightface_records, write
from tests.property_tests import examples
from tfface.data.sources.recordio import RecordIOSource


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    """A small file in InsightFace's layout, some of its records in several parts."""
    images = [[b"a" * 40 + MAGIC + b"1", b"a" * 41], [b"b"], [MAGIC * 3, b"c" * 30]]
    folder = tmp_path_factory.mktemp("rec")
    (folder / "property").write_text("3,112,112\n")
    return write(folder / "train.rec", insightface_records(images))


def read_all(rec):
    with only_input_errors():
        source = RecordIOSource(rec, on_empty_identity="skip")
        for index in range(source.num_images):
            source.read(index)


@given(st.data(), st.booleans())
@examples(300)
def test_damaged_records(rec, data, with_index):
    copy = rec.parent / "damaged/train.rec"
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(data.draw(damaged(rec.read_bytes())))
    copy.with_suffix(".idx").unlink(missing_ok=True)
    if with_index:
        copy.with_suffix(".idx").write_bytes(rec.with_suffix(".idx").read_bytes())
    read_all(copy)


@given(st.data())
@examples(200)
def test_damaged_index(rec, data):
    copy = rec.parent / "index/train.rec"
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(rec.read_bytes())
    copy.with_suffix(".idx").write_bytes(data.draw(damaged(rec.with_suffix(".idx").read_bytes())))
    read_all(copy)
