"""The check of pages in a browser finds what it should."""

import pytest

from tests.reporting.browser import check_readable
from tests.reporting.sample_metrics import write_run


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("<script>undefined_name()</script>", "undefined_name is not defined"),
        ('<img src="data:image/png;base64,AAAA">', "an image isn't shown"),
        ("<p style='width: 2000px'>wide</p>", "wider than 390 pixels"),
        ("<p style='font-size: 8px'>small</p>", "the font is too small"),
    ],
)
def test_problems_of_a_page(tmp_path, part, message):
    page = tmp_path / "page.html"
    write_run(page, environment={"python": "3.11"})
    page.write_text(page.read_text().replace("</body>", f"{part}</body>"))
    with pytest.raises(AssertionError, match=message):
        check_readable(page, tmp_path / "browser")


def test_a_wide_table_does_not_widen_the_page(tmp_path):
    columns = {f"column {number}": f"{number}" for number in range(30)}
    write_run(tmp_path / "page.html", epochs=[columns])
    [table] = check_readable(tmp_path / "page.html", tmp_path / "browser").tables
    assert table == [list(columns), list(columns.values())]
