"""Pictures of verification are drawn for the shapes that results really have."""

import numpy as np

from tests.reporting.plots.pictures import is_picture
from tfface.reporting.plots import verification as plots


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


def test_roc_of_millions_of_pairs_is_thinned():
    far = np.arange(1, 1_000_001) / 1_000_000
    tar = np.sqrt(far)
    thin_far, thin_tar = plots._thinned(far, tar)
    assert len(thin_far) <= 4000
    assert (thin_far[0], thin_far[-1]) == (1e-6, 1)
    assert np.array_equal(thin_tar, np.sqrt(thin_far))
    # No two neighbours are further apart than can be seen, but where the points themselves are.
    assert np.diff(np.log10(thin_far))[1000:].max() < 0.002
    few = np.array([0.1, 1])
    assert plots._thinned(few, few)[0] is few


def test_roc_of_millions_of_pairs(tmp_path):
    far = np.arange(0, 2_000_001) / 2_000_000
    plots.draw_roc(tmp_path / "roc.png", {"large": (far, np.minimum(1, 0.9 + far))})
    assert is_picture(tmp_path / "roc.png")
