"""Names come from folders, lists and command lines of anybody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfface.errors import InputError
from tfface.names import cell_text, clean_name, safe_cell, safe_row


@pytest.mark.parametrize(
    ("given_name", "cleaned"),
    [
        ("Anna", "Anna"),
        (" Anna Lee\n", "Anna Lee"),
        ("Jose\u0301", "José"),
        ("\u3000山田", "山田"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("bytes of a folder's name \udcff", "bytes of a folder's name \udcff"),
    ],
)
def test_names_have_one_form(given_name, cleaned):
    assert clean_name(given_name) == cleaned
    assert clean_name(cleaned) == cleaned


@pytest.mark.parametrize("name", ["", " ", "\t\n", "\u00a0"])
def test_a_name_is_not_empty(name):
    with pytest.raises(InputError, match="is no name: it is empty"):
        clean_name(name)


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "a\nb", "a\0b", "a\u202eb", "a\u2028b", "a\ufeffb"])
def test_a_name_has_no_control_characters(name):
    with pytest.raises(InputError, match=r"is no name: it holds control characters, shown as \?"):
        clean_name(name)


def test_a_name_is_no_longer_than_that_of_a_folder():
    assert clean_name("x" * 255) == "x" * 255
    with pytest.raises(InputError, match=r"^'x{200}\.\.\.' is no name: it has 100,000 char"):
        clean_name("x" * 100_000)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\uff1d"])
def test_a_cell_is_no_formula(start):
    assert safe_cell(f"{start}cmd|' /C calc'!A0").startswith("'")


@pytest.mark.parametrize("text", ["", "Anna", "O'Neill", "'s-Gravenhage", "a=b", "1-2"])
def test_other_text_stays_as_it_is(text):
    assert safe_cell(text) == text
    assert cell_text(text) == text


@given(st.text(alphabet="'=+-@a\t\r", max_size=6))
def test_a_safe_cell_is_read_back(text):
    assert cell_text(safe_cell(text)) == text


def test_numbers_of_a_row_stay_as_they_are():
    row = ["=1+1", "-0.25", -1, None, "Ann"]
    assert safe_row(row) == ["'=1+1", "-0.25", -1, None, "Ann"]
