"""Runs that are interrupted on the way."""

from pathlib import Path

import pytest

from tfface.recipe import Recipe
from tfface.training.checkpoint_manager import CheckpointManager
from tfface.training.run import train


def train_and_stop(
    recipe: Recipe, run: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, *, epochs: int = 1
) -> None:
    """Trains until the checkpoint after so many epochs is on disk, as if by Ctrl-C."""
    save = CheckpointManager.save

    def save_and_stop(self, model, progress):
        save(self, model, progress)
        if progress.total_epochs == epochs:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(CheckpointManager, "save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, run, data_dir)
