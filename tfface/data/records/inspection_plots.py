"""Pictures of a dataset: how its images are spread over the identities, and what they look like."""

import os
from pathlib import Path

import numpy as np

from tfface import seeding
from tfface.data.records.inspection import Inspection
from tfface.images.decoding import decode_picture
from tfface.reporting.contact_sheet import draw_contact_sheet
from tfface.reporting.dataset import plot_images_per_identity

# Pixels of a picture's place: wide enough for most names.
_CELL = 128
# Fills up the row of an identity that has fewer images than the sheet has columns.
BLANK = np.full((8, 8, 3), 255, np.uint8)


def draw_inspection(
    inspection: Inspection, folder: Path, *, rows: int, columns: int, seed: int
) -> list[Path]:
    """Draws images_per_identity.png and contact_sheet.png into `folder`; returns their paths.

    Args:
        inspection: with at least one image that can be read.
        rows: identities on the sheet, > 0, drawn alike from those with `columns` images or more;
            where these are too few, from those with the most.
        columns: images of each, > 0.
        seed: another seed draws others.
    Raises InputError: a picture can't be written.
    """
    counts = inspection.images_per_identity
    identities = inspection.dataset.identities
    name = inspection.folder.resolve().name
    histogram, sheet = folder / "images_per_identity.png", folder / "contact_sheet.png"
    plot_images_per_identity(
        histogram,
        inspection.images_per_source,
        title=f"{name}: images per identity",
    )

    chosen = _choose_identities(counts, rows, columns, seed)
    pictures, captions = [], []
    for label in chosen.tolist():
        images = choose_images(inspection.labels, label, columns, seed)
        for index in images.tolist():
            record, _ = inspection.files.read(index)
            pictures.append(decode_picture(record.encoded))
            captions.append(os.path.basename(record.filename))
        captions[-len(images)] += f"\n{identities[label].name}\nlabel {label}"
        pictures += [BLANK] * (columns - len(images))
        captions += [""] * (columns - len(images))
    enough = int(np.count_nonzero(counts >= columns))
    draw_contact_sheet(
        sheet,
        pictures,
        captions,
        title=f"{name}: {len(chosen)} of the {enough:,} identities with {columns} images or more"
        if enough >= len(chosen)
        else f"{name}: the {len(chosen)} identities with the most images",
        columns=columns,
        cell=_CELL,
    )
    return [histogram, sheet]


def choose_images(labels: np.ndarray, label: int, number: int, seed: int) -> np.ndarray:
    """Draws up to `number` images of an identity; returns their indices, rising."""
    images = np.flatnonzero(labels == label)
    order = seeding.permutation(seeding.fold(seed, label), len(images))
    return np.sort(images[order[:number]])


def _choose_identities(counts: np.ndarray, rows: int, columns: int, seed: int) -> np.ndarray:
    """Returns labels, rising."""
    random = seeding.words(seeding.fold(seed), len(counts))
    # Those with enough images are alike; of the others, more images come first.
    order = np.lexsort((random, -np.minimum(counts, columns)))
    return np.sort(order[: min(rows, np.count_nonzero(counts))])
