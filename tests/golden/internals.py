"""The only file of the golden tests that imports from the package.

When a refactoring moves or renames something, this file follows and the pins must still hold.
Everything else goes through stable interfaces: recipes, the tools' `main`, run folders and Keras.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from tests import shortcuts
from tfface import recipe
from tfface.backbones import BACKBONES
from tfface.backbones.backbone import INPUT_NORMALIZATIONS
from tfface.heads import HEADS
from tfface.heads.head_file import HEAD_FILE
from tfface.heads.triplet import TripletHead
from tfface.registry import build_from_config, options_schema
from tfface.training.registries import REGISTRIES
from tfface.training.run import train


def run_tool(name: str, *arguments: object) -> None:
    """Runs `tools/NAME.py` in this process."""
    importlib.import_module(name).main([str(argument) for argument in arguments])


def run_recipe(path: Path, run_dir: Path, data_dir: Path, *, resume: bool = False) -> None:
    """Trains a recipe file.

    Raises KeyboardInterrupt: SIGTERM was received, and a checkpoint was written.
    """
    with pytest.MonkeyPatch.context() as patch:
        shortcuts.draw_no_curves(patch)
        train(recipe.load(path, REGISTRIES, []), run_dir, data_dir, resume=resume)


def head_weights(run_dir: Path) -> list[np.ndarray]:
    """Returns the trained weights of a run's head, in their order of creation."""
    with np.load(run_dir / HEAD_FILE) as file:
        return [file[key] for key in sorted(file.files) if key.startswith("weights/")]


def backbone_names() -> list[str]:
    # The network of keras_file is that of a file.
    return [name for name in BACKBONES if name != "keras_file"]


def build_backbone(name: str, size: int) -> tuple[keras.Model, Callable]:
    """Returns a network and its preprocessing of images [batch, size, size, 3] in 0..255."""
    backbone = BACKBONES[name](image_size=(size, size))
    return backbone.network, INPUT_NORMALIZATIONS[backbone.input_normalization]


def head_names() -> list[str]:
    return list(HEADS)


def build_head(
    name: str, options: dict, num_identities: int, embedding_size: int, steps_per_epoch: int
) -> keras.layers.Layer:
    """Returns a built head."""
    head = build_from_config(
        HEADS[name],
        options,
        Path(),
        num_identities=num_identities,
        steps_per_epoch=steps_per_epoch,
    )
    head.build((None, embedding_size))
    return head


def head_options(name: str) -> set[str]:
    """Returns the options of a head in a recipe."""
    return set(options_schema(HEADS[name]).model_fields)


def head_losses(head: keras.layers.Layer, embeddings, identities, *, training: bool):
    """Returns loss and top-1 hit of each example: two float32 [batch]."""
    return head.losses_and_correct(embeddings, identities, training=training)


def has_classes(head: keras.layers.Layer) -> bool:
    """Returns whether a head gives logits."""
    return not isinstance(head, TripletHead)
