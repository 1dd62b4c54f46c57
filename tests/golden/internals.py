"""All that the pins use of the package's inside: a module or name that moves is changed here.

The rest goes through what is meant to stay: recipes, the tools' `main`, run folders, Keras.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from tfface import recipe
from tfface.backbones import BACKBONES
from tfface.backbones.pixels import PIXELS
from tfface.heads import HEADS
from tfface.heads.head_file import HEAD_FILE
from tfface.heads.triplet import TripletHead
from tfface.parts import build, options_model
from tfface.training.parts import TABLES
from tfface.training.run import train


def run_tool(name: str, *arguments: object) -> None:
    """Calls `tools/NAME.py` as a shell would."""
    importlib.import_module(name).main([str(argument) for argument in arguments])


def run_recipe(path: Path, run_dir: Path, data_dir: Path, *, resume: bool = False) -> None:
    """Trains a recipe file. Raises KeyboardInterrupt: SIGTERM came, and a checkpoint is written."""
    train(recipe.load(path, TABLES, []), run_dir, data_dir, resume=resume)


def head_weights(run_dir: Path) -> list[np.ndarray]:
    """The trained weights of a run's head, in the order in which it made them."""
    with np.load(run_dir / HEAD_FILE) as file:
        return [file[key] for key in sorted(file.files) if key.startswith("weights/")]


def backbone_names() -> list[str]:
    return list(BACKBONES)


def build_backbone(name: str, size: int) -> tuple[keras.Model, Callable]:
    """A network, and what makes of images [batch, size, size, 3] in 0..255 what it expects."""
    backbone = BACKBONES[name](image_size=(size, size))
    return backbone.network, PIXELS[backbone.pixels]


def head_names() -> list[str]:
    return list(HEADS)


def build_head(
    name: str, options: dict, num_identities: int, embedding_size: int, steps_per_epoch: int
) -> keras.layers.Layer:
    """A head with its weights made."""
    head = build(
        HEADS[name],
        options,
        Path(),
        num_identities=num_identities,
        steps_per_epoch=steps_per_epoch,
    )
    head.build((None, embedding_size))
    return head


def head_options(name: str) -> set[str]:
    """The options that a recipe may give to a head."""
    return set(options_model(HEADS[name]).model_fields)


def head_losses(head: keras.layers.Layer, embeddings, identities, *, training: bool):
    """The loss of each example, and whether its identity was found: two float32 [batch]."""
    return head.loss_and_accuracy(embeddings, identities, training=training)


def has_classes(head: keras.layers.Layer) -> bool:
    """Whether it gives logits."""
    return not isinstance(head, TripletHead)
