"""A damaged record file is read to its end or said to be unreadable; damage is never missed."""

import tempfile
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.data.broken_datasets import make_dataset, shard
from tests.data.damage import damaged, only_input_errors
from tests.property_tests import examples
from tfface.data.records.inspection import inspect_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("fuzz"), num_shards=2)


def test_shards(dataset):
    file = shard(dataset, 1)
    whole = file.read_bytes()

    @hypothesis.given(damaged(whole))
    @examples(100)
    def check(data):
        file.write_bytes(data)
        with only_input_errors():
            inspection = inspect_dataset(dataset, num_workers=1)
            assert bool(inspection.problems) == (data != whole)
            assert len(inspection.labels) == inspection.files.starts[-1]

    check()
    file.write_bytes(whole)


@hypothesis.given(st.data())
@examples(60)
def test_tables(data):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "data-00000-of-00001.tfrecord").touch()
        json = (
            b'{"format_version": 1, "num_images": 0, "num_identities": 1, "image_size": null, '
            b'"attributes": [], "sources": [], "seed": 0, "shards": [{"file": '
            b'"data-00000-of-00001.tfrecord", "records": 0, "bytes": 0, "sha256": "ab"}]}'
        )
        csv = b"label,name,source,num_images\n0,ann,a,0\n"
        Path(folder, "dataset.json").write_bytes(data.draw(damaged(json)))
        Path(folder, "identities.csv").write_bytes(data.draw(damaged(csv)))
        with only_input_errors():
            inspect_dataset(Path(folder), num_workers=1)
