"""Curves are drawn for the shapes that runs really have."""

from tests.reporting.plots.pictures import is_picture
from tfface.reporting.plots import training as plots


def epoch(number, stage="head", **figures):
    return {"epoch": number, "step": 10 * number, "stage": stage, "epoch_seconds": 3.2, **figures}


def test_curves_of_two_stages(tmp_path):
    epochs = [
        epoch(1, loss=3.0, val_loss=3.1, learning_rate=1e-3),
        epoch(2, loss=None, val_loss=2.1, learning_rate=1e-3),
        epoch(3, "fine_tune", loss=1.0, val_loss=1.1, learning_rate=1e-5, val_accuracy=0.5),
    ]
    plots.draw_curves(tmp_path / "curves.png", epochs, title="a run")
    assert is_picture(tmp_path / "curves.png")


def test_curves_of_one_epoch(tmp_path):
    plots.draw_curves(tmp_path / "new folder" / "curves.png", [epoch(1, loss=3.0)])
    assert is_picture(tmp_path / "new folder" / "curves.png")


def test_panels_join_training_and_validation():
    epochs = [epoch(1, loss=1.0, learning_rate=0.1), epoch(2, val_accuracy=0.5, val_loss=1.0)]
    assert plots._panels(epochs) == {
        "loss": ["loss", "val_loss"],
        "accuracy": ["val_accuracy"],
        "learning_rate": ["learning_rate"],
    }
