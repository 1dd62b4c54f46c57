"""Reads a list of predictions, such as a competition entry: the predicted class of each image."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError
from tfface.evaluation.classifier import check_distinct_names
from tfface.text_file import check_columns, csv_lines, open_text

_PATH_COLUMNS = ("path", "filename")
_LABEL_COLUMN = "label"
_MAX_NAMED = 3


def read_predictions(path: Path, source: ImageSource) -> np.ndarray:
    """Reads the predictions for all images of a source.

    Args:
        path: a CSV file with a header and a line for each image, in any order. The column `path`
            (or `filename`) holds the image's path in the source, or its file name if that is
            unique; the column `label` holds the name of an identity. Other columns are ignored.
        source: the images.

    Returns:
        bool [num_images], which predictions are correct.

    Raises:
        InputError: the file can't be read; a line names no image or identity of the source; or an
            image has no prediction, or two.
    """
    names = [identity.name for identity in source.identities]
    check_distinct_names(names, f"{source.name}: two identities")
    labels = {name: label for label, name in enumerate(names)}
    filenames = [source.filename(index) for index in range(source.num_images)]
    index_of = _index_by_name(filenames)
    predicted = np.full(source.num_images, -1, np.int64)
    line_of: dict[int, int] = {}
    for line, filename, label in _lines(path):
        index = index_of.get(filename)
        if index is None:
            why = "is the name of several images" if filename in index_of else "is not an image"
            raise InputError(
                f"{path}: line {line}: '{filename}' {why} of {source.name}; its images have names "
                f"like {filenames[0]}"
            )
        if index in line_of:
            raise InputError(
                f"{path}: line {line}: '{filename}' has a prediction in line {line_of[index]} "
                "already"
            )
        if label not in labels:
            raise InputError(
                f"{path}: line {line}: '{label}' is not a class of {source.name}; its classes are: "
                f"{', '.join(names[:_MAX_NAMED])}{', ...' if len(names) > _MAX_NAMED else ''}"
            )
        line_of[index] = line
        predicted[index] = labels[label]
    if (predicted < 0).any():
        missing = np.flatnonzero(predicted < 0)
        named = ", ".join(filenames[index] for index in missing[:_MAX_NAMED].tolist())
        raise InputError(
            f"{path}: has no prediction for {len(missing):,} of the {len(predicted):,} images: "
            f"{named}{', ...' if len(missing) > _MAX_NAMED else ''}"
        )
    return predicted == source.labels


def _index_by_name(filenames: list[str]) -> dict[str, int | None]:
    """Returns path or file name -> index of the image; None for an ambiguous file name."""
    index_of: dict[str, int | None] = {}
    for index, filename in enumerate(filenames):
        name = os.path.basename(filename)
        index_of[name] = None if name in index_of else index
    # A full path is unambiguous, whatever the file names.
    return index_of | {filename: index for index, filename in enumerate(filenames)}


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yields (line number, file name, label)."""
    try:
        with open_text(path) as file:
            delimiter, lines = csv_lines(file)
            rows = csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
            columns = rows.fieldnames or []
            path_columns = [column for column in _PATH_COLUMNS if column in columns]
            if not path_columns or _LABEL_COLUMN not in columns:
                raise InputError(
                    f"{path}: the first line must name the columns path (or filename) and label; "
                    f"it has: {', '.join(columns) or 'none'}"
                )
            check_columns(path, columns, [path_columns[0], _LABEL_COLUMN])
            for row in rows:
                yield rows.line_num, row[path_columns[0]] or "", row[_LABEL_COLUMN] or ""
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except csv.Error as error:
        raise InputError(f"{path}: can't be read as CSV: {error}") from error
