"""The report is one file that needs no other, and shows what it was given."""

import re
from html.parser import HTMLParser

import pytest

from tfface.errors import InputError
from tfface.report import plots
from tfface.report.page import write_report
from tfface.report.verification_table import HEADER, align, table_rows, threshold_sentence


def figures(tar_at_finest=0.5):
    return {
        "num_pairs": 6000,
        "num_genuine": 3000,
        "accuracy": {"mean": 0.9930, "std": 0.0041, "folds": [0.993] * 10},
        "threshold": {"cosine": 0.4, "squared_l2": 1.2},
        "tar_at_far": [
            {
                "far": far,
                "tar": tar,
                "measured_far": min(far, 1e-3),
                "threshold_cosine": 0.45501,
                "sufficient": far > 1e-4,
            }
            for far, tar in ((1e-2, 0.99), (1e-3, 0.98), (1e-4, tar_at_finest))
        ],
        "eer": 0.007,
        "auc": 0.9989,
        "embedding_norm": 137.9,
    }


class Balanced(HTMLParser):
    """Checks that every element is closed, in order."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_whole_page(tmp_path):
    epochs = [
        {"epoch": 1, "step": 10, "stage": "head", "loss": 3.14159, "val_loss": None},
        {"epoch": 2, "step": 20, "stage": "head", "loss": 2.0, "val_accuracy": 0.5},
    ]
    plots.draw_curves(tmp_path / "curves.png", epochs)
    write_report(
        tmp_path / "report.html",
        title="faces & <names>",
        summary=[("identities", "500")],
        verification={"lfw": figures(), "b<x>": figures()},
        pictures=[tmp_path / "curves.png"],
        epochs=epochs,
        recipe="model: {backbone: <b>}\n",
        environment={"python": "3.11", "packages": {"keras": "3.15"}},
    )
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    text = "\n".join(parser.text)
    for words in (
        "faces & <names>",
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
    # Nothing is fetched from anywhere.
    assert not re.search(r"(src|href)=\"(?!data:)|https?:|@import|url\(", page)
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page


def test_parts_that_are_not_given_are_left_out(tmp_path):
    write_report(tmp_path / "report.html", title="bare")
    assert "<h2>" not in (tmp_path / "report.html").read_text()


def test_bad_pictures(tmp_path):
    with pytest.raises(InputError, match=r"none\.png: can't be read"):
        write_report(tmp_path / "r.html", title="t", pictures=[tmp_path / "none.png"])
    (tmp_path / "text.txt").write_text("x")
    with pytest.raises(InputError, match="a picture of a report is one of"):
        write_report(tmp_path / "r.html", title="t", pictures=[tmp_path / "text.txt"])
    assert not (tmp_path / "r.html").exists()


def test_table_marks_what_the_pairs_cannot_tell():
    (row,) = table_rows({"lfw": figures()})
    assert row == [
        "lfw",
        "6,000",
        "99.30 +- 0.41%",
        "99.00%",
        "98.00%",
        "50.00%*",
        "0.70%",
        "0.9989",
    ]
    lines = align(HEADER, [row, ["a much longer name", *row[1:]]]).split("\n")
    assert len({len(line) for line in lines}) == 1


def test_threshold_sentence_never_promises_more_than_was_measured():
    sentence = threshold_sentence("lfw", figures())
    assert sentence.startswith("lfw: accept two images as one person when cosine >= 0.400 ")
    # 0.45501 rounded down would let an impostor in.
    assert sentence.endswith("at most 1 false accept in 1,000 impostors when cosine >= 0.456.")


def test_threshold_sentence_of_a_model_that_finds_all_alike():
    alike = figures()
    for point in alike["tar_at_far"]:
        point["threshold_cosine"] = 1.0000001
    assert threshold_sentence("lfw", alike).endswith(
        "; no cosine up to 1 gives so few as 1 false accept in 1,000 impostors."
    )
