"""Pictures of classification are drawn for the shapes that results really have."""

import numpy as np
import pytest

from tests.reporting.made_classification import answers, figures
from tests.reporting.plots.pictures import is_picture
from tfface.reporting.classification_table import parts
from tfface.reporting.plots import classification as plots


@pytest.mark.parametrize("num_classes", [2, 6, 24, 120])
def test_confusion(tmp_path, num_classes):
    of_all = answers(num_classes, num_images=400)
    classes = [f"$class_{number} with a rather long name" for number in range(num_classes)]
    plots.draw_confusion(tmp_path / "c.png", of_all.label, of_all.predicted, classes)
    assert is_picture(tmp_path / "c.png")


def test_of_many_classes_those_confused_most_are_shown():
    rng = np.random.default_rng(0)
    labels = np.concatenate([rng.integers(0, 1000, 500), np.repeat(700, 9), np.repeat(31, 8)])
    predicted = np.concatenate([labels[:500], np.repeat(2, 9), np.repeat(999, 8)])
    shown = plots._classes_to_show(labels, predicted, 1000)
    assert {700, 2, 31, 999} <= set(shown.tolist())
    assert len(shown) == 24
    assert np.all(np.diff(shown) > 0)


def test_confusion_of_many_classes_without_mistakes(tmp_path):
    labels = np.arange(3) * 40_000
    plots.draw_confusion(tmp_path / "c.png", labels, labels, [str(n) for n in range(85_742)])
    assert is_picture(tmp_path / "c.png")


def test_reliability(tmp_path):
    plots.draw_reliability(tmp_path / "r.png", figures()["calibration"], ece=0.1)
    assert is_picture(tmp_path / "r.png")


def test_groups(tmp_path):
    made = figures(num_groups=3, with_people=True)
    plots.draw_groups(tmp_path / "g.png", list(parts(made)))
    assert is_picture(tmp_path / "g.png")
