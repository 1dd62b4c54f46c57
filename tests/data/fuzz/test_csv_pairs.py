"""Lists of pairs that are damaged in all ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.damage import damaged, only_input_errors
from tests.property_tests import examples
from tfface.data.pairs import load_pair_set

FILES = [
    b"first,second,is_genuine\na.jpg,b.jpg,1\nb.jpg,c.jpg,0\nc.jpg,a.jpg,no\n",
    b'\xef\xbb\xbffile_x,file_y,Decision,fold,group\r\n"a.jpg",b.jpg,Yes,1,x\r\na.jpg,c.jpg,No,0,\r\n',
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("csv") / "inner"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg", "../a.jpg"):
        (folder / name).write_bytes(name.encode())
    return folder


@examples(200)
@given(data=st.sampled_from(FILES).flatmap(damaged) | st.binary(max_size=200))
def test_only_input_errors(folder, data):
    (folder / "pairs.csv").write_bytes(data)
    with only_input_errors():
        pair_set = load_pair_set(folder / "pairs.csv")
        assert len(pair_set.first) == len(pair_set.second) == len(pair_set.is_genuine) > 0
        for index in range(len(pair_set.images)):
            assert not pair_set.images[index].startswith(b".")
