"""The page of a classification shows the numbers of the JSON, on a desktop and on a phone."""

import numpy as np
import pytest

from tests.reporting.browser import check_readable
from tests.reporting.made_classification import answers, figures
from tests.reporting.page_parser import read_page
from tfface.errors import InputError
from tfface.reporting.classification_report import write_classification_report
from tfface.reporting.page import Picture
from tfface.reporting.plots.classification import draw_confusion


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    of_all = answers()
    draw_confusion(folder / "c.png", of_all.label, of_all.predicted, "abc")
    cells = ([np.full((20, 30, 3), 90, np.uint8)] * 3, ["is <a>\nsaid b (99.0%)"] * 3)
    write_classification_report(
        folder / "report.html",
        title="net <1> on faces",
        figures=figures(num_groups=2, with_people=True),
        pictures=[
            Picture(folder / "c.png", "Confusion <x>."),
            Picture(folder / "w.png", "Wrong images.", cells),
        ],
        remarks=["12 people were seen in training."],
        environment={"python": "3.11"},
    )
    return folder / "report.html"


def test_what_it_says(page):
    text = read_page(page)
    made = figures(num_groups=2, with_people=True)
    for words in (
        "net <1> on faces",
        "Confusion <x>.",
        "is <a>",
        "12 people were seen in training.",
        "class <2>",
        "95% intervals take images as drawn independently",
        f"{made['ece']:.3f}",
        f"{100 * made['unseen']['accuracy']:.2f}%",
        "3.11",
    ):
        assert words in text


def test_in_a_browser(page, tmp_path):
    opened = check_readable(page, tmp_path)
    made = figures(num_groups=2, with_people=True)
    rows = {row[0]: row for row in opened.tables[0][1:]}
    for name, part in (("all", made), ("light=L1", made["groups"]["L1"])):
        assert rows[name][1] == f"{100 * part['accuracy']:.2f}%"
        assert rows[name][5] == str(part["num_images"])
    classes = {row[0]: row for row in opened.tables[1][1:]}
    for name, of_class in made["per_class"].items():
        assert classes[name][4] == f"{100 * of_class['recall']:.2f}%"
    assert opened.tables[2][0] == ["class", "taken for", "images", "of"]


def test_nothing_was_confused(tmp_path):
    made = figures()
    made["confusion"] = {name: {name: 1} for name in made["confusion"]}
    write_classification_report(tmp_path / "r.html", title="t", figures=made)
    text = read_page(tmp_path / "r.html")
    assert "Confused most often" not in text
    assert "Pictures" not in text


def test_a_picture_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.png: can't be read"):
        write_classification_report(
            tmp_path / "r.html",
            title="t",
            figures=figures(),
            pictures=[Picture(tmp_path / "none.png", "none")],
        )
