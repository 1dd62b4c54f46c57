"""Plots of verification, and the report with them."""

import dataclasses

import numpy as np
import pytest

from tests.evaluation.test_verification import Recorder, pair_set
from tests.reporting.browser import check_readable
from tests.reporting.page_parser import read_page
from tests.reporting.plot_files import is_plot
from tfface.evaluation.verification import evaluate_verification
from tfface.evaluation.verification_plots import plot_roc, plot_similarities, plot_verification
from tfface.reporting.html import write_report


@pytest.fixture
def evaluated(tmp_path):
    """Two sets, their metrics and their plots."""
    sets = [dataclasses.replace(pair_set(), name=name) for name in ("one", "two")]
    results = {one.name: evaluate_verification(Recorder(), one) for one in sets}
    return results, plot_verification(results, sets, tmp_path / "plots")


def test_plots(evaluated):
    results, plots = evaluated
    assert [plot.path.name for plot in plots] == [
        "roc.png",
        *("similarities_one.png", "false_accepts_one.png", "false_rejects_one.png"),
        *("similarities_two.png", "false_accepts_two.png", "false_rejects_two.png"),
    ]
    assert all(is_plot(plot.path) for plot in plots)
    of_one = {plot.path.stem: plot for plot in plots if plot.section == "one"}
    result = results["one"]
    for kind, genuine in (("false_accepts_one", False), ("false_rejects_one", True)):
        images, captions = of_one[kind].thumbnails
        similarities = [float(caption.split()[1]) for caption in captions]
        # Two squares and the gap between them.
        assert all(image.shape == (112, 228, 3) for image in images)
        assert similarities == sorted(similarities, reverse=not genuine)
        correct = (result.similarity >= result.threshold.cosine) == genuine
        num_wrong = int((~correct & (result.is_genuine == genuine)).sum())
        shown = sum("(correct)" not in caption for caption in captions)
        assert shown == min(num_wrong, len(captions))
        assert f": {num_wrong:,} of 20 are" in of_one[kind].caption
        assert "person " in captions[0]


def write(evaluated, path, names=("one", "two"), warnings=()):
    results, plots = evaluated
    metrics = {name: results[name].to_dict() for name in names}
    write_report(
        path,
        "verification",
        title="a <model>: verification",
        sets=metrics,
        plots=[one for one in plots if one.section in (None, *names)],
        environment={"python": "3.11"},
        warnings=warnings,
    )
    return metrics


def test_report_has_the_metrics_of_the_json(evaluated, tmp_path):
    path = tmp_path / "report.html"
    metrics = write(evaluated, path, warnings=["these faces are not aligned"])
    text = read_page(path)
    assert "a <model>: verification" in text
    assert "these faces are not aligned" in text
    opened = check_readable(path, tmp_path / "browser")
    overview, *of_sets = opened.tables
    assert [row[0] for row in overview[1:]] == list(metrics)
    for row, of_set in zip(overview[1:], metrics.values(), strict=True):
        cells = dict(zip(overview[0], row, strict=True))
        mean, std = of_set["accuracy"]["mean"], of_set["accuracy"]["std"]
        assert cells["accuracy"] == f"{100 * mean:.2f} \u00b1 {100 * std:.2f}%"
        assert cells["AUC"] == f"{of_set['auc']:.4f}"
        assert cells["pairs"] == str(of_set["num_pairs"])
    for table, of_set in zip(of_sets, metrics.values(), strict=False):
        for row, point in zip(table[1:], of_set["tar_at_far"], strict=True):
            cells = dict(zip(table[0], row, strict=True))
            assert float(cells["FAR"]) == point["far"]
            assert cells["TAR"] == f"{100 * point['tar']:.2f}%"
            assert cells["enough pairs"] == ("yes" if point["sufficient"] else "no")
    assert len(opened.pictures) == 3 + 2 * 2 * 12


def test_report_of_one_set_starts_with_its_key_metrics(evaluated, tmp_path):
    metrics = write(evaluated, tmp_path / "report.html", names=["one"])
    text = read_page(tmp_path / "report.html")
    assert text.index("accept if cosine >=") < text.index("Metrics")
    assert f"{metrics['one']['threshold']['cosine']:.3f}" in text


def test_roc_of_many_sets(tmp_path):
    far, tar = np.array([0, 0, 0.01, 0.01, 1]), np.array([0, 0.5, 0.6, 0.9, 1])
    plot_roc(tmp_path / "roc.png", {f"set_{i}": (far, tar * 0.9**i) for i in range(15)})
    assert is_plot(tmp_path / "roc.png")


def test_roc_of_a_perfect_model(tmp_path):
    plot_roc(tmp_path / "roc.png", {"easy": (np.array([0, 0, 1.0]), np.array([0, 1.0, 1.0]))})
    assert is_plot(tmp_path / "roc.png")


def test_roc_of_millions_of_pairs(tmp_path):
    far = np.arange(0, 2_000_001) / 2_000_000
    plot_roc(tmp_path / "roc.png", {"large": (far, np.minimum(1, 0.9 + far))})
    assert is_plot(tmp_path / "roc.png")


@pytest.mark.parametrize("scale", [0.1, 0])
def test_similarities(tmp_path, scale):
    rng = np.random.default_rng(0)
    plot_similarities(
        tmp_path / "similarities.png",
        genuine=rng.normal(0.6, scale, 300),
        impostor=rng.normal(0.6 if not scale else 0, scale, 300),
        threshold=0.6,
        title="lfw",
    )
    assert is_plot(tmp_path / "similarities.png")
