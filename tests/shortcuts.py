"""What the default tier leaves out because it only takes time.

Small networks on few images take longer to compile than to run. `make test-all` takes no shortcut:
it does as a user's run does.
"""

import functools
import importlib
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from tfface import synthetic
from tfface.synthetic import portrait

TAKEN = os.environ.get("HYPOTHESIS_PROFILE") != "nightly"


def turn_xla_optimizations_off() -> None:
    """Before XLA is imported: tests of augmentation took 12 % less, and those on JAX 20 %."""
    if TAKEN:
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


def turn_graph_optimizer_off() -> None:
    """TensorFlow's takes longer than the steps that it makes faster: 6 % of trainings' tests."""
    if TAKEN and "tensorflow" in sys.modules:
        options = {"disable_meta_optimizer": True}
        sys.modules["tensorflow"].config.optimizer.set_experimental_options(options)


def draw_no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings write an empty picture: drawing the curves would be a sixth of their time.

    Runs that tests share and those of commands in other processes draw them.
    """
    if TAKEN and "tfface.training.run" in sys.modules:
        evaluation = importlib.import_module("tfface.training.run_evaluation")
        monkeypatch.setattr(evaluation, "plot_training_curves", _draw_nothing)


_render_once = functools.lru_cache(maxsize=10_000)(portrait.render)


def render_faces_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendering the same synthetic faces for each run would be a twentieth of trainings' time."""
    if TAKEN:
        monkeypatch.setattr(synthetic, "render", _render_once)


def _draw_nothing(path: Path, epochs: object, *, title: str) -> None:
    Image.new("L", (1, 1)).save(path)
