"""Pictures are drawn for the shapes that runs and results really have."""

import matplotlib.image
import numpy as np

from tfface.report import plots


def is_picture(path) -> bool:
    pixels = matplotlib.image.imread(path)
    return pixels.shape[0] > 200 and pixels.shape[1] > 300 and pixels.std() > 0.01


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


def test_roc_of_many_sets(tmp_path):
    far, tar = np.array([0, 0, 0.01, 0.01, 1]), np.array([0, 0.5, 0.6, 0.9, 1])
    plots.draw_roc(tmp_path / "roc.png", {f"set_{i}": (far, tar * 0.9**i) for i in range(15)})
    assert is_picture(tmp_path / "roc.png")


def test_roc_of_a_perfect_model(tmp_path):
    plots.draw_roc(tmp_path / "roc.png", {"easy": (np.array([0, 0, 1.0]), np.array([0, 1.0, 1.0]))})
    assert is_picture(tmp_path / "roc.png")


def test_similarities(tmp_path):
    rng = np.random.default_rng(0)
    plots.draw_similarities(
        tmp_path / "similarities.png",
        genuine=rng.normal(0.6, 0.1, 300),
        impostor=rng.normal(0, 0.1, 300),
        threshold=0.3,
        title="lfw",
    )
    assert is_picture(tmp_path / "similarities.png")


def test_similarities_that_are_all_equal(tmp_path):
    ones = np.ones(3)
    plots.draw_similarities(
        tmp_path / "s.png", genuine=ones, impostor=ones, threshold=1.0, title="constant"
    )
    assert is_picture(tmp_path / "s.png")


def test_images_per_identity(tmp_path):
    rng = np.random.default_rng(0)
    counts = {"ms1m": rng.geometric(0.02, 5000), "kface": np.full(400, 50), "none": np.zeros(3)}
    plots.draw_images_per_identity(tmp_path / "wide.png", counts, title="merged")
    plots.draw_images_per_identity(tmp_path / "narrow.png", {"a": np.arange(40, 160)})
    plots.draw_images_per_identity(tmp_path / "one.png", {"a": np.array([1])})
    for name in ("wide", "narrow", "one"):
        assert is_picture(tmp_path / f"{name}.png")
