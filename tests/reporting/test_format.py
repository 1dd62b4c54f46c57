"""Numbers and tables as text."""

import pytest

from tfface.reporting.format import Table, mean_and_deviation, percent, percent_interval


@pytest.mark.parametrize(
    ("share", "sign", "text"),
    [
        (0.8861, "", "88.61%"),
        (1, "", "100.00%"),
        (0.0005, "+", "+0.05%"),
        (-0.0128, "+", "-1.28%"),
        (None, "", "-"),
    ],
)
def test_percent(share, sign, text):
    assert percent(share, sign) == text


def test_intervals():
    assert percent_interval([0.9904, 0.9951]) == "99.04-99.51%"
    assert percent_interval(None) == "-"
    assert mean_and_deviation("99.30%", "0.41%") == "99.30 +- 0.41%"
    assert mean_and_deviation("0.5000", "0.2500") == "0.5000 +- 0.2500"


def test_first_column_is_left_aligned_and_others_right_aligned():
    table = Table(["set", "pairs"], [["lfw", "6,000"], ["a longer name", "36"]], ["a note"])
    assert table.to_text().split("\n") == [
        "set            pairs",
        "lfw            6,000",
        "a longer name     36",
        "a note",
    ]


def test_cells_cannot_control_a_terminal():
    text = Table(["name"], [["bob\x1b[31m\nann 99"]]).to_text()
    assert text == "name\nbob?[31m?ann 99"


def test_columns_can_be_removed():
    table = Table(["a", "b", "c"], [["1", "", "3"], ["", "", "6"]], ["note"])
    assert table.without("a", "x") == Table(["b", "c"], [["", "3"], ["", "6"]], ["note"])
    assert table.without_empty_columns() == Table(["a", "c"], [["1", "3"], ["", "6"]], ["note"])
