"""Pictures of datasets are drawn for the shapes that these really have."""

import numpy as np

from tests.reporting.plots.pictures import is_picture
from tfface.reporting.plots import dataset as plots


def test_images_per_identity(tmp_path):
    rng = np.random.default_rng(0)
    counts = {"ms1m": rng.geometric(0.02, 5000), "kface": np.full(400, 50), "none": np.zeros(3)}
    plots.draw_images_per_identity(tmp_path / "wide.png", counts, title="merged")
    plots.draw_images_per_identity(tmp_path / "narrow.png", {"a": np.arange(40, 160)})
    plots.draw_images_per_identity(tmp_path / "one.png", {"a": np.array([1])})
    for name in ("wide", "narrow", "one"):
        assert is_picture(tmp_path / f"{name}.png")
