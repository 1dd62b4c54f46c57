"""What a finished run was trained on, found out again from its folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfface import recipe as recipes
from tfface import seeding
from tfface.data.derived.source_images import SourceFilenames, SourceImages
from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError
from tfface.evaluation.alignment_check import alignment_warning
from tfface.evaluation.class_names import read_class_names
from tfface.evaluation.seen_identities import SeenPeople, people_in
from tfface.images.decoding import content_digest
from tfface.progress import progress
from tfface.training.datasets import open_training_images
from tfface.training.registries import TABLES
from tfface.training.run_folder import RunFolder

# So many of a run's images are read to find out whether an evaluation is on them.
_MOST_IMAGES = 100_000


@dataclass(frozen=True)
class TrainingImages:
    """The images that a run was trained on, by their content.

    Attributes:
        run_dir: the run's folder.
        digests: of the images' bytes.
        is_all: False where so many were drawn among more.
    """

    run_dir: Path
    digests: frozenset[bytes]
    is_all: bool

    def warning(self, images: Sequence[bytes], what: str) -> str | None:
        """Returns a line for the user where the run was trained on some of these images.

        Images count as the same byte for byte.

        Args:
            images: of an evaluation, encoded.
            what: their name in the line.
        """
        num_same = sum(content_digest(image) in self.digests for image in images)
        if not num_same:
            return None
        least = "" if self.is_all else "at least "
        return (
            f"{what}: {self.run_dir} was trained on {least}{num_same:,} of these {len(images):,} "
            "images: the figures say how well it knows these by heart, not how good it is on others"
        )


def read_training_images(run_dir: Path, data_dir: Path) -> TrainingImages:
    """Reads the images that a run was trained on; of more than 100,000, so many are drawn.

    Args:
        run_dir, data_dir: as for `read_training_identities`.
    Raises InputError: as `read_training_identities`, or an image can't be read.
    """
    source, indices = _training_images(run_dir, data_dir)
    drawn = indices[seeding.permutation(seeding.fold(0), len(indices))[:_MOST_IMAGES]]
    # In the order of the files, in which they are read fastest.
    looked_at = progress(sorted(drawn.tolist()), description="training images", unit="images")
    digests = frozenset(content_digest(source.read(index).encoded) for index in looked_at)
    return TrainingImages(run_dir, digests, len(drawn) == len(indices))


def read_training_identities(run_dir: Path, data_dir: Path, attribute: str) -> SeenPeople:
    """Returns who is in the images that a run was trained on; not in those that it held out.

    Args:
        run_dir: the run folder; its recipe says where the images are.
        data_dir: where the recipe's relative paths start.
        attribute: of the images, the one that says who is shown.
    Raises InputError: the recipe or its data can't be read, the data have no such attribute, or
        they aren't any more what the run was trained on.
    """
    source, indices = _training_images(run_dir, data_dir)
    return people_in(source, attribute, indices, where=f"data.train of {run_dir}")


def _training_images(run_dir: Path, data_dir: Path) -> tuple[ImageSource, np.ndarray]:
    """Returns the source and the indices of the images that a run was trained on."""
    run = RunFolder(run_dir)
    recipe = recipes.load(run.recipe, TABLES)
    source, indices, names = open_training_images(recipe, data_dir)
    # Two sources may have identities of one name.
    if names != read_class_names(run.identities, distinct=False):
        raise InputError(
            f"{run.recipe}: its data.train has not the classes any more that the run was trained on"
        )
    return source, indices


def was_trained_on_unaligned(model: Path, data_dir: Path) -> bool:
    """Whether a model was trained on images whose faces look unaligned, as far as that is known.

    Args:
        model: a run folder, whose recipe says where the images are; of any other model, and of
            images that are gone, nothing is known.
        data_dir: where the recipe's relative paths start.
    """
    if not RunFolder(model).recipe.is_file():
        return False
    try:
        source, indices = _training_images(model, data_dir)
        images, names = SourceImages(source, indices), SourceFilenames(source, indices)
        return alignment_warning(images, names, "") is not None
    except InputError:
        return False
