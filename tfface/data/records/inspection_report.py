"""What an inspection leaves in a folder.

report.json                all figures and problems
duplicates.csv             images that are in the dataset more than once, byte for byte
images_per_identity.png    how many identities have how many images
contact_sheet.png          a sample of the people
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfface import seeding
from tfface.data.records.duplicates import (
    PAIR_COLUMNS,
    Duplicates,
    describe_pairs,
    write_duplicate_images,
)
from tfface.data.records.inspection import Inspection, statistics
from tfface.files import replacing
from tfface.images.decoding import decode_picture
from tfface.reporting.contact_sheet import draw_contact_sheet
from tfface.reporting.dataset import plot_images_per_identity

REPORT_FILE = "report.json"
DUPLICATES_FILE = "duplicates.csv"
# Of duplicates, in report.json.
_MOST_EXAMPLES = 20


def report(inspection: Inspection, duplicates: Duplicates) -> dict:
    """Returns all that was found, as JSON can hold it.

    Args:
        inspection: of the dataset.
        duplicates: its pairs of equal or similar images.
    """
    labels = inspection.labels
    examples = describe_pairs(inspection, duplicates.across[:_MOST_EXAMPLES])
    return {
        "dataset": str(inspection.folder),
        "problems": inspection.problems,
        **statistics(inspection),
        "duplicates": {
            "within_identity": {
                "pairs": len(duplicates.within),
                "identities": len(np.unique(labels[duplicates.within[:, 0]])),
            },
            "across_identities": {
                "pairs": len(duplicates.across),
                "identities": len(np.unique(labels[duplicates.across])),
                "examples": [dict(zip(PAIR_COLUMNS, row, strict=True)) for row in examples],
            },
        },
    }


def write_inspection(
    folder: Path,
    inspection: Inspection,
    duplicates: Duplicates,
    *,
    rows: int = 10,
    columns: int = 8,
    seed: int = 0,
) -> dict:
    """Writes the files that this module's docstring lists; no pictures of a dataset without images.

    Args:
        rows, columns, seed: of the contact sheet, see `draw_inspection`.
    Returns: what report.json holds.
    Raises InputError: a file can't be written.
    """
    content = report(inspection, duplicates)
    write_report(folder, content)
    write_duplicate_images(folder / DUPLICATES_FILE, inspection, duplicates)
    if (inspection.labels >= 0).any():
        draw_inspection(inspection, folder, rows=rows, columns=columns, seed=seed)
    return content


def write_report(folder: Path, content: Mapping) -> None:
    """Writes report.json."""
    with replacing(folder / REPORT_FILE) as path:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


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
    """Draws up to `number` images of an identity; returns their indices, rising.

    Args:
        labels: int [num_images], the identity of each.
        label: of the identity.
        number: images at most.
        seed: which they are.
    """
    images = np.flatnonzero(labels == label)
    order = seeding.permutation(seeding.fold(seed, label), len(images))
    return np.sort(images[order[:number]])


def _choose_identities(counts: np.ndarray, rows: int, columns: int, seed: int) -> np.ndarray:
    """Returns labels, rising."""
    random = seeding.words(seeding.fold(seed), len(counts))
    # Those with enough images are alike; of the others, more images come first.
    order = np.lexsort((random, -np.minimum(counts, columns)))
    return np.sort(order[: min(rows, np.count_nonzero(counts))])
