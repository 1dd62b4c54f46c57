"""What every page is built of."""

from tests.reporting.page_parser import read_page
from tfface.reporting import page


def test_what_comes_from_outside_is_escaped(tmp_path):
    page.write_page(
        tmp_path / "p.html",
        "a<b",
        [
            page.summary([("identities <i>", "<500>")]),
            page.section("s&s", page.table(["<h>"], [["<cell>"]]), page.items(["<one>"])),
            page.note("<small>"),
            page.code("<yaml>"),
            page.environment_section({"<key>": "<value>"}),
        ],
    )
    text = read_page(tmp_path / "p.html")
    for words in [
        "a<b",
        "identities <i>",
        "<500>",
        "s&s",
        "<h>",
        "<cell>",
        "<one>",
        "<small>",
        "<yaml>",
        "<key>",
        "<value>",
    ]:
        assert words in text


def test_names_that_are_no_text(tmp_path):
    page.write_page(tmp_path / "p.html", "a", [page.text("b\udcff.jpg")])
    assert "b?.jpg" in read_page(tmp_path / "p.html")
