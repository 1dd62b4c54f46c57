"""What the default tier leaves out because it only takes time.

Small networks on few images take longer to compile than to run. `make test-all` takes no shortcut:
it does as a user's run does.
"""

import os
import sys
from pathlib import Path

import pytest
from PIL import Image

TAKEN = os.environ.get("HYPOTHESIS_PROFILE") != "nightly"

# Read by TensorFlow and XLA when they are imported. Two files of tests of trainings and of the
# pipeline took 12 % less processor time without oneDNN, which goes over each new graph; those of
# augmentation took 12 % less without XLA's optimizations, and those on JAX 20 %.
VARIABLES = {"TF_ENABLE_ONEDNN_OPTS": "0", "XLA_FLAGS": "--xla_backend_optimization_level=0"}


def set_variables() -> None:
    """Before TensorFlow is imported; what the user has set stays."""
    if TAKEN:
        for name, value in VARIABLES.items():
            os.environ.setdefault(name, value)


def without_them(environment: dict[str, str]) -> dict[str, str]:
    """An environment for a process whose results a user's run has to have as well."""
    return {
        name: value
        for name, value in environment.items()
        if not TAKEN or value != VARIABLES.get(name)
    }


def turn_graph_optimizer_off() -> None:
    """TensorFlow's takes longer than the steps that it makes faster: 6 % of trainings' tests."""
    if TAKEN and "tensorflow" in sys.modules:
        options = {"disable_meta_optimizer": True}
        sys.modules["tensorflow"].config.optimizer.set_experimental_options(options)


def draw_no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings write an empty picture: drawing the curves would be a sixth of their time.

    Runs that tests share and those in other processes draw them.
    """
    evaluation = sys.modules.get("tfface.training.run_evaluation")
    if TAKEN and evaluation is not None:
        monkeypatch.setattr(evaluation, "plot_training_curves", _draw_nothing)


def _draw_nothing(path: Path, epochs: object, *, title: str) -> None:
    Image.new("L", (1, 1)).save(path)
