"""Plots of training, benchmarks and curves, for the shapes that real results have."""

import numpy as np
import pytest

from tests.reporting.plot_files import is_plot
from tfface.reporting import plots


def epoch(number, stage="head", **metrics):
    return {"epoch": number, "step": 10 * number, "stage": stage, "epoch_seconds": 3.2, **metrics}


def test_curves_of_two_stages(tmp_path):
    epochs = [
        epoch(1, loss=3.0, val_loss=3.1, learning_rate=1e-3),
        epoch(2, loss=None, val_loss=2.1, learning_rate=1e-3),
        epoch(3, "fine_tune", loss=1.0, val_loss=1.1, learning_rate=1e-5, val_accuracy=0.5),
    ]
    plots.plot_training_curves(tmp_path / "curves.png", epochs, title="a run")
    assert is_plot(tmp_path / "curves.png")


def test_curves_of_one_epoch(tmp_path):
    plots.plot_training_curves(tmp_path / "new folder" / "curves.png", [epoch(1, loss=3.0)])
    assert is_plot(tmp_path / "new folder" / "curves.png")


def test_panels_join_training_and_validation():
    epochs = [epoch(1, loss=1.0, learning_rate=0.1), epoch(2, val_accuracy=0.5, val_loss=1.0)]
    assert plots._panels(epochs) == {
        "loss": ["loss", "val_loss"],
        "accuracy": ["val_accuracy"],
        "learning_rate": ["learning_rate"],
    }


def test_throughput(tmp_path):
    rows = [
        {"name": name, "images_per_second": {"min": 0.9 * rate, "median": rate, "max": 1.2 * rate}}
        for name, rate in (("records", 133_000.0), ("parse + decode", 10_015.0), ("step", 3.5))
    ]
    plots.plot_throughput(tmp_path / "wide.png", rows)
    plots.plot_throughput(tmp_path / "narrow.png", rows[:1])
    assert is_plot(tmp_path / "wide.png")
    # One bar is not high.
    assert (tmp_path / "narrow.png").stat().st_size > 1000


def test_thinning_keeps_the_shape_of_a_curve():
    x = np.arange(1, 1_000_001) / 1_000_000
    y = np.sqrt(x)
    thin_x, thin_y = plots.thin_curve(x, y)
    assert len(thin_x) <= 4000
    assert (thin_x[0], thin_x[-1]) == (1e-6, 1)
    assert np.array_equal(thin_y, np.sqrt(thin_x))
    # Neighbors are close, except where the points themselves are not.
    assert np.diff(np.log10(thin_x))[1000:].max() < 0.002
    few = np.array([0.1, 1])
    assert plots.thin_curve(few, few)[0] is few


@pytest.mark.parametrize(
    ("name", "short"),
    [("lfw", "lfw"), ("costs $5", r"costs \$5"), ("abcdefghijk", "abcd\u2026hijk")],
)
def test_shorten(name, short):
    assert plots.shorten(name, 9) == short
