"""What an inspection leaves in a folder.

report.json                all figures and problems
duplicates.csv             images that are in the dataset more than once, byte for byte
images_per_identity.png    how many identities have how many images
contact_sheet.png          a sample of the people
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfface.data.records.duplicates import (
    PAIR_COLUMNS,
    Duplicates,
    describe_pairs,
    write_duplicates,
)
from tfface.data.records.inspection import Inspection, statistics
from tfface.data.records.inspection_plots import draw_inspection
from tfface.files import replacing

REPORT_FILE = "report.json"
DUPLICATES_FILE = "duplicates.csv"
# Of duplicates, in report.json.
_MOST_EXAMPLES = 20


def report(inspection: Inspection, duplicates: Duplicates) -> dict:
    """Returns all that was found, as JSON can hold it."""
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
    write_duplicates(folder / DUPLICATES_FILE, inspection, duplicates)
    if (inspection.labels >= 0).any():
        draw_inspection(inspection, folder, rows=rows, columns=columns, seed=seed)
    return content


def write_report(folder: Path, content: Mapping) -> None:
    """Writes report.json."""
    with replacing(folder / REPORT_FILE) as path:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
