"""Damaged tables: images or clear errors, and nothing from outside of the folder."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.damage import damaged, only_input_errors
from tests.data.small_faces import write_folder
from tfface.data.sources.csv_list import CsvSource

WHOLE = b'path,identity,pose\nann/0.jpg,ann,left\n../x.jpg,bob,\nann/1.jpg,"b, c",right\n'


@given(data=st.data(), suffix=st.sampled_from([".csv", ".tsv"]))
@settings(max_examples=250, deadline=None)
def test_damaged_table(tmp_path_factory, data, suffix):
    folder = tmp_path_factory.getbasetemp() / "csv"
    if not folder.exists():
        write_folder(folder, {"ann": 2})
    whole = data.draw(st.sampled_from([WHOLE, WHOLE.replace(b"../x.jpg", b"ann/../ann/1.jpg")]))
    table = folder / f"table{suffix}"
    table.write_bytes(data.draw(damaged(whole.replace(b'ann/1.jpg,"', b'ann/./1.jpg,"'))))
    with only_input_errors():
        source = CsvSource(table)
        for index in range(source.num_images):
            record = source.read(index)
            assert os.path.realpath(folder / record.filename).startswith(str(folder))
