"""A list of predictions, as an entry of a competition is: which image is said to be of what."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError
from tfface.evaluation.classifier import check_distinct
from tfface.text_file import check_columns, open_text

_PATH_COLUMNS = ("path", "filename")
_LABEL_COLUMN = "label"
_MOST_NAMED = 3


def read_predictions(path: Path, source: ImageSource) -> np.ndarray:
    """Reads what is said of each image of a source; returns which are right, bool [num_images].

    Args:
        path: a CSV file under a line with the columns' names, one line for each image, in any
            order: `path` (or `filename`) as the source calls the image, or its last part alone
            where no other image has it; and `label`, the name of an identity. Other columns are
            not read.

    Raises:
        InputError: the file can't be read; a line names no image, or no identity of the source; an
            image has no line, or two.
    """
    names = [identity.name for identity in source.identities]
    check_distinct(names, f"{source.name}: two identities")
    labels = {name: label for label, name in enumerate(names)}
    filenames = [source.filename(index) for index in range(source.num_images)]
    places = _places(filenames)
    said = np.full(source.num_images, -1, np.int64)
    line_of: dict[int, int] = {}
    for line, filename, label in _lines(path):
        place = places.get(filename)
        if place is None:
            why = "is the name of several images" if filename in places else "is no image"
            raise InputError(
                f"{path}: line {line}: '{filename}' {why} of {source.name}; its images have names "
                f"like {filenames[0]}"
            )
        if place in line_of:
            raise InputError(
                f"{path}: line {line}: '{filename}' has a prediction in line {line_of[place]} "
                "already"
            )
        if label not in labels:
            raise InputError(
                f"{path}: line {line}: '{label}' is no class of {source.name}; there are: "
                f"{', '.join(names[:_MOST_NAMED])}{', ...' if len(names) > _MOST_NAMED else ''}"
            )
        line_of[place] = line
        said[place] = labels[label]
    if (said < 0).any():
        missing = np.flatnonzero(said < 0)
        named = ", ".join(filenames[place] for place in missing[:_MOST_NAMED].tolist())
        raise InputError(
            f"{path}: has no prediction for {len(missing):,} of the {len(said):,} images: {named}"
            f"{', ...' if len(missing) > _MOST_NAMED else ''}"
        )
    return said == source.labels


def _places(filenames: list[str]) -> dict[str, int | None]:
    """Returns what an image may be called -> its place; None where several are called so."""
    places: dict[str, int | None] = {}
    for place, filename in enumerate(filenames):
        name = os.path.basename(filename)
        places[name] = None if name in places else place
    # The full name is that of one image, whatever others end in.
    return places | {filename: place for place, filename in enumerate(filenames)}


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yields (line number, file name, label)."""
    try:
        with open_text(path) as file:
            rows = csv.DictReader(file, skipinitialspace=True, strict=True)
            columns = rows.fieldnames or []
            named = [column for column in _PATH_COLUMNS if column in columns]
            if not named or _LABEL_COLUMN not in columns:
                raise InputError(
                    f"{path}: needs a first line with the columns path (or filename) and label; "
                    f"it has: {', '.join(columns) or 'none'}"
                )
            check_columns(path, columns, [named[0], _LABEL_COLUMN])
            for row in rows:
                yield rows.line_num, row[named[0]] or "", row[_LABEL_COLUMN] or ""
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except csv.Error as error:
        raise InputError(f"{path}: can't be read as CSV: {error}") from error
