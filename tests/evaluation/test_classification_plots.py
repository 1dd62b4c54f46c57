"""Plots of classification, for the shapes that real results have."""

import numpy as np
import pytest

from tests.reporting.plot_files import is_plot
from tests.reporting.sample_metrics import classification, predictions
from tfface.evaluation import classification_plots as plots
from tfface.reporting.classification_tables import subsets


@pytest.mark.parametrize("num_classes", [2, 6, 24, 120])
def test_confusion(tmp_path, num_classes):
    of_all = predictions(num_classes, num_images=400)
    classes = [f"$class_{number} with a rather long name" for number in range(num_classes)]
    plots.plot_confusion_matrix(tmp_path / "c.png", of_all.label, of_all.predicted, classes)
    assert is_plot(tmp_path / "c.png")


def test_the_most_frequent_confusions_of_many_classes_are_shown():
    rng = np.random.default_rng(0)
    labels = np.concatenate([rng.integers(0, 1000, 500), np.repeat(700, 9), np.repeat(31, 8)])
    predicted = np.concatenate([labels[:500], np.repeat(2, 9), np.repeat(999, 8)])
    shown = plots._classes_to_show(labels, predicted, 1000)
    assert {700, 2, 31, 999} <= set(shown.tolist())
    assert len(shown) == 24
    assert np.all(np.diff(shown) > 0)


def test_confusion_of_many_classes_without_errors(tmp_path):
    labels = np.arange(3) * 40_000
    plots.plot_confusion_matrix(tmp_path / "c.png", labels, labels, [str(n) for n in range(85_742)])
    assert is_plot(tmp_path / "c.png")


def test_reliability(tmp_path):
    calibration = classification()["calibration"]
    plots.plot_reliability_diagram(tmp_path / "r.png", calibration, ece=0.1)
    assert is_plot(tmp_path / "r.png")


def test_groups(tmp_path):
    metrics = classification(num_groups=3, with_people=True)
    plots.plot_groups(tmp_path / "g.png", list(subsets(metrics)))
    assert is_plot(tmp_path / "g.png")
