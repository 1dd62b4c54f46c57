"""CSV lists of pairs: two columns of image paths, one with the label, and optional others.

    first,second,is_genuine,fold,first_identity,second_identity,group
    ann/1.jpg,ann/2.jpg,1,0,ann,ann,indoors
    ann/1.jpg,bob/1.jpg,0,0,ann,bob,outdoors

Column names are compared without case, spaces, `_` and `-`; `_COLUMNS` lists the known ones. Other
columns are ignored.
"""

import csv
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfface.data.pairs.folds import (
    folds_have_both_labels,
    interleave_by_label,
    order_by_fold,
)
from tfface.data.pairs.pair_set import FileImages, PairSet
from tfface.errors import InputError
from tfface.metrics.k_fold import NUM_FOLDS
from tfface.names import cell_text, same_name, spelled_on_disk
from tfface.text_file import csv_lines, open_text

DESCRIPTION = "a CSV of pairs (with a folder of images)"

_COLUMNS = {
    "first": ("first", "file_x", "path1", "image1", "img1", "file1"),
    "second": ("second", "file_y", "path2", "image2", "img2", "file2"),
    "is_genuine": ("is_genuine", "genuine", "same", "is_same", "label", "decision", "match"),
    "fold": ("fold",),
    "first_identity": ("first_identity", "identity1", "person1"),
    "second_identity": ("second_identity", "identity2", "person2"),
    "group": ("group",),
}
_IDENTITIES = ("first_identity", "second_identity")
_REQUIRED = ("first", "second", "is_genuine")
_LABELS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def matches(source: str) -> bool:
    return Path(source).suffix.lower() == ".csv" and not Path(source).is_dir()


def holds_pairs(path: Path) -> bool:
    """Whether a CSV has the columns of pairs; other CSV files list images.

    Raises:
        InputError: it can't be read.
    """
    _, header = next(_rows(path), (0, []))
    return all(column in _known_columns(path, header) for column in _REQUIRED)


def images_folder(path: Path) -> Path:
    """Returns the default folder of a list's images.

    For X.csv, this is the first that exists of the folder X_images next to it, which
    `writing.write_csv` writes, the folder images next to it, and the folder of X.csv itself.
    """
    candidates = (path.parent / f"{path.stem}_images", path.parent / "images")
    return next((folder for folder in candidates if folder.is_dir()), path.parent)


def load(source: str, name: str, images_dir: Path | None) -> PairSet:
    """Reads a list and finds its images, which are read on access.

    Pairs are sorted by the column of folds. Without it, they keep the list's order, unless a fold
    would have one kind of pair only: then genuine and impostor pairs are interleaved, as for LFW's
    View 1.

    Args:
        source: the list.
        name: of the set.
        images_dir: the folder where paths start; by default `images_folder`.

    Returns:
        The pairs.

    Raises:
        InputError: the list is not in this format, its folds are of unequal sizes, its identities
            contradict each other or the answers, two answers contradict each other, or an image is
            missing or lies elsewhere than below that folder.
    """
    path = Path(source)
    pairs = _read_pairs(path)
    identities = _identities(path, pairs)
    in_lines = pairs
    order, num_folds = _order(path, pairs)
    pairs = [pairs[i] for i in order]

    # In order of appearance.
    position = {
        image: i
        for i, image in enumerate(
            dict.fromkeys(image for pair in pairs for image in (pair.first, pair.second))
        )
    }
    files = _find_images(path, pairs, list(position), images_dir or images_folder(path))
    _check_answers(path, in_lines, dict(zip(position, files, strict=True)))
    return PairSet(
        name=name,
        images=FileImages(files),
        image_names=[str(file) for file in files],
        first=np.array([position[pair.first] for pair in pairs]),
        second=np.array([position[pair.second] for pair in pairs]),
        is_genuine=np.array([pair.is_genuine for pair in pairs]),
        num_folds=num_folds,
        identities=identities and np.array([identities[image] for image in position]),
        groups=None if pairs[0].group is None else [pair.group for pair in pairs],
    )


@dataclass(frozen=True)
class _Pair:
    """A line of the list, with its number; `fold`, `group` and `identities` may be None."""

    line: int
    first: str
    second: str
    is_genuine: bool
    fold: int | None
    group: str | None
    identities: tuple[str, str] | None


def _read_pairs(path: Path) -> list[_Pair]:
    rows = _rows(path)
    line, header = next(rows, (1, []))
    columns = _known_columns(path, header)
    for column in _REQUIRED:
        if column not in columns:
            raise InputError(
                f"{path}, line {line}: none of its columns ({', '.join(header)[:200]}) is known as "
                f"'{column}': call one {', '.join(_COLUMNS[column][:-1])} or "
                f"{_COLUMNS[column][-1]}"
            )
    has_identities = [column in columns for column in _IDENTITIES]
    if any(has_identities) and not all(has_identities):
        raise InputError(
            f"{path}, line {line}: has the column {_IDENTITIES[has_identities.index(True)]} alone: "
            f"expected {' and '.join(_IDENTITIES)}, or neither"
        )
    pairs = []
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(
                f"{path}, line {line}: {len(row)} values, but the first line names {len(header)} "
                "columns"
            )
        values = {column: cell_text(row[index]) for column, index in columns.items()}
        pairs.append(
            _Pair(
                line,
                first=values["first"],
                second=values["second"],
                is_genuine=_label(path, line, values["is_genuine"]),
                fold=_fold(path, line, values["fold"]) if "fold" in values else None,
                group=values.get("group"),
                identities=tuple(same_name(values[column]) for column in _IDENTITIES)
                if all(has_identities)
                else None,
            )
        )
    if not pairs:
        raise InputError(f"{path}: lists no pairs")
    return pairs


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields (line number, fields) of each line that is not empty."""
    try:
        # Paths that are not UTF-8 are kept as the file system has them.
        with open_text(path) as file:
            delimiter, text = csv_lines(file)
            lines = csv.reader(text, delimiter=delimiter, strict=True, skipinitialspace=True)
            for row in lines:
                if any(map(str.strip, row)):
                    yield lines.line_num, row
    except csv.Error as error:
        raise InputError(f"{path}, line {lines.line_num}: not CSV: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error


def _known_columns(path: Path, header: list[str]) -> dict[str, int]:
    """Returns name -> index of the known columns."""
    indices = {}
    for column, names in _COLUMNS.items():
        known = {_plain(name) for name in names}
        found = [index for index, name in enumerate(header) if _plain(name) in known]
        if len(found) > 1:
            raise InputError(
                f"{path}, line 1: {' and '.join(header[index] for index in found)} both mean "
                f"'{column}': rename or remove one"
            )
        if found:
            indices[column] = found[0]
    return indices


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


def _label(path: Path, line: int, text: str) -> bool:
    if text.strip().lower() not in _LABELS:
        raise InputError(
            f"{path}, line {line}: expected 1, true or yes for a genuine pair and 0, false or no "
            f"for impostors; got '{text[:80]}'"
        )
    return _LABELS[text.strip().lower()]


def _fold(path: Path, line: int, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()):
        raise InputError(f"{path}, line {line}: expected the number of a fold; got '{text[:80]}'")
    return int(text)


def _identities(path: Path, pairs: list[_Pair]) -> dict[str, int] | None:
    """Returns image -> number of the person; None without columns of identities."""
    if pairs[0].identities is None:
        return None
    numbers: dict[str, int] = {}
    of_image: dict[str, int] = {}
    for pair in pairs:
        for image, identity in zip((pair.first, pair.second), pair.identities, strict=True):
            if not identity:
                raise InputError(
                    f"{path}, line {pair.line}: the identity of {image[:200]} is empty"
                )
            number = numbers.setdefault(identity, len(numbers))
            if of_image.setdefault(image, number) != number:
                raise InputError(
                    f"{path}, line {pair.line}: {image[:200]} has the identity {identity[:80]}, "
                    "but another one in an earlier line"
                )
        first, second = pair.identities
        if (first == second) != pair.is_genuine:
            label = "genuine" if pair.is_genuine else "an impostor pair"
            raise InputError(
                f"{path}, line {pair.line}: the pair is labeled {label}, but has the identities "
                f"{first[:80]} and {second[:80]}"
            )
    return of_image


def _check_answers(path: Path, pairs: list[_Pair], files: dict[str, Path]) -> None:
    """Raises InputError if two images are a genuine pair in one line and impostors in another."""
    earlier: dict[tuple[Path, ...], _Pair] = {}
    for pair in pairs:
        images = tuple(sorted((files[pair.first], files[pair.second])))
        same = earlier.setdefault(images, pair)
        if same.is_genuine != pair.is_genuine:
            labels = ["genuine" if one.is_genuine else "impostors" for one in (same, pair)]
            raise InputError(
                f"{path}, lines {same.line} and {pair.line}: {pair.first[:200]} and "
                f"{pair.second[:200]} are labeled {labels[0]} and {labels[1]}: correct or remove "
                "one of these lines"
            )


def _order(path: Path, pairs: list[_Pair]) -> tuple[np.ndarray, int]:
    """Returns the order of the pairs, and the number of folds."""
    if pairs[0].fold is not None:
        folds = np.array([pair.fold for pair in pairs])
        order = order_by_fold(folds)
        if order is None:
            sizes = np.unique(folds, return_counts=True)[1]
            raise InputError(
                f"{path}: its folds have {sizes.min()} to {sizes.max()} pairs; sizes may differ by "
                "one pair at most. Without a column of folds, pairs are split evenly"
            )
        return order, len(np.unique(folds))
    is_genuine = np.array([pair.is_genuine for pair in pairs])
    if folds_have_both_labels(is_genuine, NUM_FOLDS):
        return np.arange(len(pairs)), NUM_FOLDS
    return interleave_by_label(is_genuine), NUM_FOLDS


def _find_images(path: Path, pairs: list[_Pair], images: list[str], folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{path}: no folder of images at {folder}; set it with --image-root")
    root = os.path.abspath(folder)
    files, missing = [], []
    for image in images:
        # Checked as text, because links inside the folder may lead out of it.
        file = os.path.normpath(os.path.join(root, image))
        if "\0" in image or not file.startswith(os.path.join(root, "")):
            line = next(pair.line for pair in pairs if image in (pair.first, pair.second))
            raise InputError(
                f"{path}, line {line}: '{image[:200]}' is not below the folder of images, "
                f"{folder}; set the folder with --image-root"
            )
        file = spelled_on_disk(file)
        files.append(folder / os.path.relpath(file, root))
        if not os.path.isfile(file):
            missing.append(image)
    if missing:
        raise InputError(
            f"{path}: {len(missing):,} of {len(images):,} images are missing under {folder}, "
            f"the first is {missing[0]}; set the folder with --image-root"
        )
    return files
