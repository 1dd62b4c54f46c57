"""Rows of results/ and the tables made from them."""

from pathlib import Path

import pytest

from tfface.errors import InputError
from tfface.report.results import append_row, fill_tables, markdown_table, read_rows

ROOT = Path(__file__).resolve().parents[2]


def test_rows_are_appended_in_order(tmp_path):
    path = tmp_path / "results" / "speed.csv"
    append_row(path, {"name": "a, b", "rate": 1.5})
    append_row(path, {"name": "c", "rate": 2})
    assert read_rows(path) == [{"name": "a, b", "rate": "1.5"}, {"name": "c", "rate": "2"}]


def test_another_kind_of_row_is_refused(tmp_path):
    path = tmp_path / "speed.csv"
    append_row(path, {"name": "a"})
    with pytest.raises(InputError, match="has the columns"):
        append_row(path, {"rate": 1})


def test_table_between_marks_is_replaced_and_nothing_else(tmp_path):
    append_row(tmp_path / "x.csv", {"name": "a", "rate": 1, "note": "n"})
    text = "before\n<!-- table x.csv: name, rate -->\nold\n<!-- end of table -->\nafter\n"
    filled = fill_tables(text, tmp_path)
    assert filled == (
        "before\n<!-- table x.csv: name, rate -->\n| name | rate |\n| --- | --- |\n| a | 1 |\n"
        "<!-- end of table -->\nafter\n"
    )
    assert fill_tables(filled, tmp_path) == filled


def test_unknown_column():
    with pytest.raises(InputError, match="no column"):
        markdown_table([{"a": "1"}], ["b"])


def test_readme_shows_what_results_hold():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert fill_tables(text, ROOT) == text
