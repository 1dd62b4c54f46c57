"""Pictures of a classification: groups, confusion, calibration, and what was most surely wrong."""

import os
from pathlib import Path

import numpy as np

from tfface.data.sources.image_source import ImageSource
from tfface.evaluation.classification import Classification
from tfface.images.decoding import decode_picture
from tfface.reporting.classification_table import group_note, parts
from tfface.reporting.contact_sheet import draw_contact_sheet
from tfface.reporting.page import Picture
from tfface.reporting.plots.classification import draw_confusion, draw_groups, draw_reliability

_MOST_GROUPS = 16
# Pixels of a picture's place: wide enough for most captions.
_CELL = 150


def draw_classification(
    classification: Classification, source: ImageSource, folder: Path
) -> list[Picture]:
    """Draws the pictures of a classification.

    Args:
        source: the one that was classified.
        folder: gets confusion.png, reliability.png, groups.png where there are groups or people,
            and most_wrong.png where an image was wrong.
    Raises InputError: a picture can't be written.
    """
    result, figures = classification.result, classification.to_json()
    drawn = []
    if classification.groups or classification.people:
        path = folder / "groups.png"
        note = group_note(figures, _MOST_GROUPS)
        draw_groups(path, list(parts(figures, _MOST_GROUPS)))
        drawn.append(Picture(path, f"Accuracy by group{f': {note}' if note else ''}."))
    path = folder / "confusion.png"
    draw_confusion(path, result.predictions.label, result.predictions.predicted, result.classes)
    drawn.append(Picture(path, "How many images of each class were taken for which."))
    path = folder / "reliability.png"
    draw_reliability(path, figures["calibration"], ece=result.summary.ece)
    drawn.append(Picture(path, "How often answers of each confidence are right."))
    if figures["most_wrong"]:
        drawn.append(_draw_most_wrong(folder / "most_wrong.png", classification, source))
    return drawn


def _draw_most_wrong(path: Path, classification: Classification, source: ImageSource) -> Picture:
    images = classification.most_wrong.tolist()
    pictures = [decode_picture(source.read(image).encoded) for image in images]
    captions = [
        f"is {one['label']}\nsaid {one['predicted']} ({one['confidence']:.1%})\n"
        f"{os.path.basename(one['image'])}"
        for one in classification.to_json()["most_wrong"]
    ]
    num_wrong = int(np.count_nonzero(~classification.result.predictions.is_correct))
    title = f"The {num_wrong:,} wrong images"
    if num_wrong > len(images):
        title = f"{len(images)} of the {num_wrong:,} wrong images"
    title += ", those first that the model was most confident of"
    draw_contact_sheet(path, pictures, captions, title=title, cell=_CELL)
    return Picture(path, f"{title}.", (pictures, captions))
