"""The check of pages finds what it is there to find."""

import pytest

from tests.reporting.browser import check_readable
from tfface.reporting import page


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("<script>undefined_name()</script>", "undefined_name is not defined"),
        ('<img src="data:image/png;base64,AAAA">', "a picture isn't shown"),
        ("<p style='width: 2000px'>wide</p>", "wider than 390 pixels"),
        ("<p style='font-size: 8px'>small</p>", "letters are too small"),
    ],
)
def test_what_a_reader_would_stumble_on(tmp_path, part, message):
    page.write_page(tmp_path / "page.html", "title", [page.note("text"), part])
    with pytest.raises(AssertionError, match=message):
        check_readable(tmp_path / "page.html", tmp_path / "browser")


def test_a_wide_table_does_not_widen_the_page(tmp_path):
    header = [f"column {number}" for number in range(30)]
    page.write_page(tmp_path / "page.html", "title", [page.table(header, [header])])
    assert check_readable(tmp_path / "page.html", tmp_path / "browser").tables == [[header, header]]
