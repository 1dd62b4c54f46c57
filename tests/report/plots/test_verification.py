"""Pictures of verification are drawn for the shapes that results really have."""

import numpy as np

from tests.report.plots.pictures import is_picture
from tfface.report.plots import verification as plots


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
