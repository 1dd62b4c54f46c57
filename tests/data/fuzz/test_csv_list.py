"""Damaged tables: images or clear errors, and nothing from outside of the folder."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.damage import damaged, only_input_errors
from tests.data.small_faces import write_folder
from tests.property_tests import examples
from tfface.data.sources.csv_list import CsvSource

WHOLE = b'path,identity,pose\nann/0.jpg,ann,left\nann/../ann/1.jpg,"b, c",right\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("csv")
    (root / "0.jpg").write_bytes(b"not to be read")
    return write_folder(root / "faces", {"ann": 2})


@given(data=st.data(), suffix=st.sampled_from([".csv", ".tsv"]))
@examples(250)
def test_damaged_table(folder, data, suffix):
    whole = WHOLE if suffix == ".csv" else WHOLE.replace(b",", b"\t")
    table = folder / f"table{suffix}"
    table.write_bytes(data.draw(damaged(whole)))
    with only_input_errors():
        source = CsvSource(table)
        for index in range(source.num_images):
            record = source.read(index)
            assert os.path.realpath(folder / record.filename).startswith(f"{folder}/")
