"""Lines of whole numbers: fast ones, untidy ones and wrong ones give the same or an error."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.property_tests import examples
from tfface.data import int_table
from tfface.data.int_table import line_number, read_number_lines
from tfface.errors import InputError

NUMBER = st.one_of(st.integers(0, 99), st.integers(0, 999_999_999))


@examples(200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(NUMBER, min_size=3, max_size=3), max_size=40),
    block_bytes=st.sampled_from([1, 7, 64, 1 << 19]),
    parting=st.sampled_from([" ", "\t", "  "]),
    ending=st.sampled_from(["\n", "\r\n", " \n", "\n\n"]),
    is_ended=st.booleans(),
)
def test_numbers(rows, block_bytes, parting, ending, is_ended, tmp_path):
    text = ending.join(parting.join(map(str, row)) for row in rows) + ending * is_ended
    (tmp_path / "numbers.txt").write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int_table, "_BLOCK_BYTES", block_bytes)
        columns = read_number_lines(tmp_path / "numbers.txt", 3, "three numbers")
    assert [column.dtype for column in columns] == [np.int32] * 3
    assert np.stack(columns, axis=1).tolist() == rows


@pytest.mark.parametrize("block_bytes", [1, 12, 1 << 19])
@pytest.mark.parametrize(
    "line",
    ["1 2", "1 2 3 4", "1 2 x", "1 2 -3", "1 2 3.0", "1 2 1234567890", "1,2,3", "1 2 \u0663", "\0"],
)
def test_a_bad_line_is_named(tmp_path, line, block_bytes, monkeypatch):
    monkeypatch.setattr(int_table, "_BLOCK_BYTES", block_bytes)
    path = tmp_path / "numbers.txt"
    path.write_text("1 2 3\n\n4 5 6\n" + line + "\n7 8 9\n")
    with pytest.raises(InputError, match=r"numbers\.txt, line 4: expected three numbers; got '"):
        read_number_lines(path, 3, "three numbers")


def test_line_number(tmp_path):
    (tmp_path / "numbers.txt").write_text("\n1\n\n \n2\n3")
    found = [line_number(tmp_path / "numbers.txt", position) for position in range(3)]
    assert found == [2, 5, 6]
    with pytest.raises(ValueError, match="has fewer lines"):
        line_number(tmp_path / "numbers.txt", 3)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match=r"gone\.txt: can't be read: No such file"):
        read_number_lines(tmp_path / "gone.txt", 3, "three numbers")
