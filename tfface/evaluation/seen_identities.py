"""Who was seen in training: figures of other people tell what a model is worth to a new user."""

from dataclasses import dataclass

import numpy as np

from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError


@dataclass(frozen=True)
class SeenPeople:
    """The people that a model was trained on.

    Attributes:
        attribute: of images, the one that says who is shown. People are told apart by it alone, so
            one of the same name in another class is the same person.
        names: its values in training.
        where: what was looked at to find them.
    """

    attribute: str
    names: frozenset[str]
    where: str


def people_in(
    source: ImageSource, attribute: str, indices: np.ndarray | None = None, *, where: str
) -> SeenPeople:
    """Returns who is in the images of a source, or in some of them.

    Args:
        indices: int [n]; None for all images.
    Raises InputError: the source has no such attribute, or it is known of no image.
    """
    try:
        values = source.attribute(attribute)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    names = frozenset(values if indices is None else values[indices]) - {""}
    if not names:
        raise InputError(f"{where}: the attribute '{attribute}' is known of none of its images")
    return SeenPeople(attribute, names, where)
