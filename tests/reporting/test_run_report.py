"""The report of a run shows what it was given, in one file that needs no other."""

import pytest

from tests.reporting.made_figures import figures
from tests.reporting.page_parser import read_page
from tfface.errors import InputError
from tfface.reporting.page import Picture
from tfface.reporting.plots.training import draw_curves
from tfface.reporting.run_report import write_run_report


def test_whole_page(tmp_path):
    epochs = [
        {"epoch": 1, "step": 10, "stage": "head", "loss": 3.14159, "val_loss": None},
        {"epoch": 2, "step": 20, "stage": "head", "loss": 2.0, "val_accuracy": 0.5},
    ]
    draw_curves(tmp_path / "curves.png", epochs)
    write_run_report(
        tmp_path / "report.html",
        title="faces & <names>",
        verification={"lfw": figures(), "b<x>": figures()},
        pictures=[Picture(tmp_path / "curves.png", "Curves <c>.")],
        epochs=epochs,
        recipe="model: {backbone: <b>}\n",
        environment={"python": "3.11", "packages": {"keras": "3.15"}},
    )
    text = read_page(tmp_path / "report.html")
    for words in (
        "faces & <names>",
        "Curves <c>.",
        "99.30 \u00b1 0.41%",
        "50.00%*",
        "too few impostor pairs",
        "cosine >= 0.400",
        "b<x>",
        "model: {backbone: <b>}",
        '{"keras": "3.15"}',
        "3.142",
    ):
        assert words in text


def test_parts_that_are_not_given_are_left_out(tmp_path):
    write_run_report(tmp_path / "report.html", title="bare")
    assert "<h2>" not in (tmp_path / "report.html").read_text()


def test_bad_pictures(tmp_path):
    with pytest.raises(InputError, match=r"none\.png: can't be read"):
        write_run_report(
            tmp_path / "r.html", title="t", pictures=[Picture(tmp_path / "none.png", "")]
        )
    (tmp_path / "text.txt").write_text("x")
    with pytest.raises(InputError, match="a picture of a report is one of"):
        write_run_report(
            tmp_path / "r.html", title="t", pictures=[Picture(tmp_path / "text.txt", "")]
        )
    assert not (tmp_path / "r.html").exists()
