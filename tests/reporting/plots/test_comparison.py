"""Comparisons are drawn for whatever was compared."""

import pytest

from tests.reporting.made_comparison import figures
from tests.reporting.plots.pictures import is_picture
from tfface.reporting.plots.comparison import _short_names, draw_comparison

LONG = [f"optimizer=sgd learning_rate=0.{i}, backbone=mobilenet_v2 alpha=$1" for i in range(7)]


@pytest.mark.parametrize(
    "made",
    [
        figures(("one",), 1, 1),
        figures(("one",), 3),
        figures(("a", "b"), 2, failed=["a"]),
        figures(("a", "b"), 2, failed=["a", "b"]),
        figures(LONG, 3, 20, metric="val_loss"),
    ],
    ids=["one run", "seeds", "a failure", "nothing", "many"],
)
def test_pictures(tmp_path, made):
    draw_comparison(tmp_path / "comparison.png", made)
    assert is_picture(tmp_path / "comparison.png")


def test_names_that_are_cut_stay_apart():
    short = _short_names(LONG)
    assert len(set(short)) == 7
    assert max(map(len, short)) <= 40
    assert _short_names(["sgd", "adam"]) == ["sgd", "adam"]
