"""All registries, as `tfface.recipe.load` takes them."""

from tfface.backbones import BACKBONES
from tfface.data.augment import AUGMENTATIONS
from tfface.data.sources import SOURCES
from tfface.heads import HEADS
from tfface.registry import Registry
from tfface.training.optimizers import OPTIMIZERS, SCHEDULES

REGISTRIES: dict[str, Registry] = {
    "sources": SOURCES,
    "augmentations": AUGMENTATIONS,
    "backbones": BACKBONES,
    "heads": HEADS,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
}
