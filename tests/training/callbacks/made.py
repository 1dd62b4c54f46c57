"""A small recognizer and stages, for callbacks that are tested by calling their events."""

from pathlib import Path

from tests.training.recipes import load_tiny
from tfface.recipe.schema import StageConfig
from tfface.training import stages
from tfface.training.recognizer import Recognizer, build_recognizer

STEPS = 20


def make_stage(folder: Path, *overrides: str) -> StageConfig:
    return load_tiny(folder, *overrides).training.stages[0]


def make_recognizer(folder: Path, *overrides: str) -> Recognizer:
    """Returns a recognizer that is compiled for the first stage."""
    recipe = load_tiny(folder, *overrides)
    recognizer = build_recognizer(recipe.model, (32, 32), 6, folder)
    stages.prepare(recognizer, recipe.training.stages[0], STEPS)
    return recognizer
