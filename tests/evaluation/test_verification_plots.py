"""Pictures and page of a verification, as people look at them."""

import dataclasses

import matplotlib.image
import pytest

from tests.evaluation.test_verification import Recorder, pair_set
from tests.reporting.browser import check_readable
from tests.reporting.page_parser import read_page
from tfface.evaluation.verification import verify
from tfface.evaluation.verification_plots import draw_verification
from tfface.reporting.verification_report import write_verification_report


@pytest.fixture
def evaluated(tmp_path):
    """Two sets, their figures and their pictures."""
    sets = [dataclasses.replace(pair_set(), name=name) for name in ("one", "two")]
    results = {one.name: verify(Recorder(), one) for one in sets}
    return results, draw_verification(results, sets, tmp_path / "plots")


def test_pictures(evaluated):
    results, pictures = evaluated
    assert [picture.path.name for picture in pictures] == [
        "roc.png",
        *("similarities_one.png", "false_accepts_one.png", "false_rejects_one.png"),
        *("similarities_two.png", "false_accepts_two.png", "false_rejects_two.png"),
    ]
    for picture in pictures:
        assert matplotlib.image.imread(picture.path).std() > 0.01
    of_one = {picture.path.stem: picture for picture in pictures if picture.section == "one"}
    result = results["one"]
    for kind, genuine in (("false_accepts_one", False), ("false_rejects_one", True)):
        cells, captions = of_one[kind].cells
        similarities = [float(caption.split()[1]) for caption in captions]
        # Two squares and the gap between them.
        assert all(cell.shape == (112, 228, 3) for cell in cells)
        assert similarities == sorted(similarities, reverse=not genuine)
        judged = (result.similarity >= result.threshold.cosine) == genuine
        num_wrong = int((~judged & (result.is_genuine == genuine)).sum())
        shown = sum("judged rightly" not in caption for caption in captions)
        assert shown == min(num_wrong, len(captions))
        assert f": {num_wrong:,} of 20 are" in of_one[kind].caption
        assert "person " in captions[0]


def write(evaluated, path, names=("one", "two"), warnings=()):
    results, pictures = evaluated
    figures = {name: results[name].to_dict() for name in names}
    write_verification_report(
        path,
        "a <model>",
        figures,
        pictures=[one for one in pictures if one.section in (None, *names)],
        environment={"python": "3.11"},
        warnings=warnings,
    )
    return figures


def test_report_holds_the_figures_of_the_json(evaluated, tmp_path):
    path = tmp_path / "report.html"
    figures = write(evaluated, path, warnings=["these faces are not aligned"])
    text = read_page(path)
    assert "a <model>: verification" in text
    assert "these faces are not aligned" in text
    opened = check_readable(path, tmp_path / "browser")
    overview, *of_sets = opened.tables
    assert [row[0] for row in overview[1:]] == list(figures)
    for row, of_set in zip(overview[1:], figures.values(), strict=True):
        cells = dict(zip(overview[0], row, strict=True))
        mean, std = of_set["accuracy"]["mean"], of_set["accuracy"]["std"]
        assert cells["accuracy"] == f"{100 * mean:.2f} \u00b1 {100 * std:.2f}%"
        assert cells["AUC"] == f"{of_set['auc']:.4f}"
        assert cells["pairs"] == str(of_set["num_pairs"])
    for table, of_set in zip(of_sets, figures.values(), strict=False):
        for row, point in zip(table[1:], of_set["tar_at_far"], strict=True):
            cells = dict(zip(table[0], row, strict=True))
            assert float(cells["FAR"]) == point["far"]
            assert cells["TAR"] == f"{100 * point['tar']:.2f}%"
            assert cells["pairs enough"] == ("yes" if point["sufficient"] else "no")
    assert len(opened.pictures) == 3 + 2 * 2 * 12


def test_report_of_one_set_begins_with_its_figures(evaluated, tmp_path):
    figures = write(evaluated, tmp_path / "report.html", names=["one"])
    text = read_page(tmp_path / "report.html")
    assert text.index("accept from cosine") < text.index("Verification")
    assert f"{figures['one']['threshold']['cosine']:.3f}" in text
