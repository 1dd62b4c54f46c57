"""What a finished run was trained on, found out again from its folder."""

from pathlib import Path

from tfface import recipe as recipes
from tfface.data.source_images import SourceFilenames, SourceImages
from tfface.errors import InputError
from tfface.evaluation.alignment_check import alignment_warning
from tfface.evaluation.class_names import read_class_names
from tfface.evaluation.seen_people import SeenPeople, people_in
from tfface.training.datasets import open_training_part
from tfface.training.parts import TABLES
from tfface.training.run_folder import RunFolder


def people_trained_on(run_dir: Path, data_dir: Path, attribute: str) -> SeenPeople:
    """Returns who is in the images that a run was trained on; not in those that it held out.

    Args:
        run_dir: the run folder; its recipe says where the images are.
        data_dir: where the recipe's relative paths start.
        attribute: of the images, the one that says who is shown.
    Raises InputError: the recipe or its data can't be read, the data have no such attribute, or
        they aren't any more what the run was trained on.
    """
    run = RunFolder(run_dir)
    recipe = recipes.load(run.recipe, TABLES)
    source, indices, names = open_training_part(recipe, data_dir)
    if names != read_class_names(run.identities):
        raise InputError(
            f"{run.recipe}: its data.train has not the classes any more that the run was trained on"
        )
    return people_in(source, attribute, indices, where=f"data.train of {run_dir}")


def was_trained_on_unaligned(model: Path, data_dir: Path) -> bool:
    """Whether a model was trained on images whose faces look unaligned, as far as that is known.

    Args:
        model: a run folder, whose recipe says where the images are; of any other model, and of
            images that are gone, nothing is known.
        data_dir: where the recipe's relative paths start.
    """
    run = RunFolder(model)
    if not run.recipe.is_file():
        return False
    try:
        recipe = recipes.load(run.recipe, TABLES)
        source, indices, _ = open_training_part(recipe, data_dir)
        images, names = SourceImages(source, indices), SourceFilenames(source, indices)
        return alignment_warning(images, names, "") is not None
    except InputError:
        return False
