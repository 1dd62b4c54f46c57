"""What a finished run was trained on, found out again from its folder."""

from pathlib import Path

from tfface import recipe as recipes
from tfface.errors import InputError
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
