"""Plots of identification, for the shapes that real results have."""

import numpy as np
import pytest

from tests.reporting.plot_files import is_plot
from tfface.evaluation import identification_plots as plots


@pytest.mark.parametrize(
    "cmc", [[1.0], [0.0] * 50, [0.9, 0.95, 1.0], [0.02 * n for n in range(51)]]
)
def test_cmc(tmp_path, cmc):
    plots.plot_cmc(tmp_path / "cmc.png", {"staff": cmc})
    assert is_plot(tmp_path / "cmc.png")


def test_cmc_of_many(tmp_path):
    plots.plot_cmc(tmp_path / "cmc.png", {f"g{n}": [n / 12, 0.9 + n / 120] for n in range(12)})
    assert is_plot(tmp_path / "cmc.png")


@pytest.mark.parametrize(
    ("fpir", "tpir"),
    [([0, 0, 0.01, 0.01, 1], [0, 0.5, 0.6, 0.9, 0.95]), ([0, 1], [0, 0]), ([0, 0, 1], [0, 1, 1])],
)
def test_open_set(tmp_path, fpir, tpir):
    curves = {"staff": (np.array(fpir, float), np.array(tpir, float))}
    plots.plot_open_set(tmp_path / "open_set.png", curves, num_non_mated=100)
    assert is_plot(tmp_path / "open_set.png")


@pytest.mark.parametrize("threshold", [0.3, None])
def test_top_similarities(tmp_path, threshold):
    rng = np.random.default_rng(0)
    plots.plot_top_similarities(
        tmp_path / "top.png",
        correct=rng.normal(0.6, 0.1, 300),
        wrong=rng.normal(0.4, 0.1, 20),
        non_mated=rng.normal(0.3, 0.1, 300) if threshold else np.empty(0),
        threshold=threshold,
        title="staff",
    )
    assert is_plot(tmp_path / "top.png")


def test_top_similarities_that_are_all_equal(tmp_path):
    plots.plot_top_similarities(
        tmp_path / "top.png",
        correct=np.ones(3),
        wrong=np.empty(0),
        non_mated=np.ones(2),
        threshold=1.0,
        title="constant",
    )
    assert is_plot(tmp_path / "top.png")
