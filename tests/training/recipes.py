"""Recipes small enough to be trained in a test."""

from pathlib import Path

from tfface import recipe
from tfface.files import replacing
from tfface.training.registries import REGISTRIES

TINY = """
data:
  train: {source: synthetic, num_identities: 6, images_per_identity: 5, size: 32}
  validation: {fraction: 0.2, by: image}
  image_size: 32
  cache: memory
  augment: [random_flip]
  batch_size: 8
model:
  backbone: {name: plain_cnn, channels: [4, 8]}
  neck: {pooling: average, dropout: 0.2, batch_norm: true}
  embedding_size: 8
  head: {name: arcface, margin: 0.1, scale: 8}
training:
  seed: 5
  stages:
    - {name: head, freeze: backbone, epochs: 1, optimizer: adam}
    - {name: all, epochs: 2, optimizer: {name: sgd, learning_rate: 0.05, weight_decay: 5e-4}}
"""
# Half of a run's time is compiling for each of its stages, and for augmentation.
ONE_STAGE = (
    "data.augment=[]",
    "training.stages=[{name: all, epochs: 1, optimizer: {name: sgd, learning_rate: 0.05}}]",
)


def load_tiny(folder: Path, *overrides: str) -> recipe.Recipe:
    """Writes the recipe into `folder` and loads it.

    Args:
        overrides: `*ONE_STAGE` first, where stages and augmentation are not what is tested.
    """
    path = folder / "tiny.yaml"
    # Several processes may do so at once, and none must read what another has half written.
    with replacing(path) as temporary:
        temporary.write_text(TINY, encoding="utf-8")
    return recipe.load(path, REGISTRIES, overrides)


def newest_checkpoint(run: Path) -> Path:
    """Returns the file that a resumed run would go on from."""
    return max((run / "checkpoints").glob("checkpoint-*.safetensors"))
