"""Damaged shards, tables and lists: images or one clear error, and nothing from elsewhere."""

import io
import tarfile

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.damage import damaged, only_input_errors
from tests.data.small_faces import write_folder
from tests.data.sources.archives import add
from tests.property_tests import examples
from tfface.data.sources.parquet import ParquetSource
from tfface.data.sources.text_list import ListSource
from tfface.data.sources.webdataset import WebDatasetSource


def shard(format):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=format) as archive:
        for name in ("ann/1", "é" + "b" * 120):
            add(archive, f"{name}.jpg", b"image" * 30)
            add(archive, f"{name}.cls", b"7")
        add(archive, "c.png", b"image")
        add(archive, "c.json", b'{"label": "ann"}')
    # Most of what tarfile writes behind the end is zeros.
    return content.getvalue().rstrip(b"\0") + bytes(1536)


def table(**options):
    content = io.BytesIO()
    images = [{"bytes": b"image" * 30, "path": f"{number}.jpg"} for number in range(6)]
    rows = pyarrow.table({"image": images, "label": [0, 1, 1, 0, 1, 0]})
    info = b'{"info": {"features": {"label": {"names": ["ann", "bob"]}}}}'
    rows = rows.replace_schema_metadata({"huggingface": info})
    pyarrow.parquet.write_table(rows, content, row_group_size=2, **options)
    return content.getvalue()


SHARDS = [shard(tarfile.GNU_FORMAT), shard(tarfile.PAX_FORMAT)]
TABLES = [table(), table(compression="zstd", use_dictionary=False)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("archives")
    (root / "secret.jpg").write_bytes(b"not to be read")
    return write_folder(root / "faces", {"ann": 2})


def read_all(source_type, path):
    with only_input_errors():
        source = source_type(path)
        for index in range(source.num_images):
            assert source.read(index).encoded != b"not to be read"


@given(data=st.sampled_from(SHARDS).flatmap(damaged))
@examples(150)
def test_damaged_shard(folder, data):
    path = folder / "shard.tar"
    path.write_bytes(data)
    read_all(WebDatasetSource, path)


@given(data=st.sampled_from(TABLES).flatmap(damaged))
@examples(150)
def test_damaged_table(folder, data):
    path = folder / "table.parquet"
    path.write_bytes(data)
    read_all(ParquetSource, path)


@given(data=damaged(b"ann/0.jpg ann\nann/1.jpg\tb c\n\nann/../ann/0.jpg 7\n"))
@examples(150)
def test_damaged_list(folder, data):
    path = folder / "list.txt"
    path.write_bytes(data)
    read_all(ListSource, path)
