"""All tables of parts, as `tfface.recipe.load` wants them."""

from tfface.backbones import BACKBONES
from tfface.data.augment import AUGMENTATIONS
from tfface.data.sources import SOURCES
from tfface.heads import HEADS
from tfface.training.optimizers import OPTIMIZERS
from tfface.training.schedules import SCHEDULES

TABLES = {
    "sources": SOURCES,
    "augmentations": AUGMENTATIONS,
    "backbones": BACKBONES,
    "heads": HEADS,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
}
