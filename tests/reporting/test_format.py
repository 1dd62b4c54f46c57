"""Numbers and tables as text."""

import pytest

from tfface.reporting.format import align, percent


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


def test_the_first_column_is_to_the_left_and_the_others_to_the_right():
    rows = [["lfw", "6,000"], ["a longer name", "36"]]
    assert align(["set", "pairs"], rows).split("\n") == [
        "set            pairs",
        "lfw            6,000",
        "a longer name     36",
    ]
