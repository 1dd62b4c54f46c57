"""Images that are in a dataset more than once, byte for byte."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfface.data.records.inspection import Inspection
from tfface.files import write_csv
from tfface.names import safe_row

PAIR_COLUMNS = (
    *("name", "source", "filename"),
    *("other_name", "other_source", "other_filename"),
)


@dataclass(frozen=True)
class Duplicates:
    """Pairs of equal images, as int64 [pairs, 2] record indices, rising.

    Of n equal images of one identity there are n - 1 pairs, each of the first and one of the
    others. Of an image that n identities have there are n - 1 pairs as well, each of the first
    identity's first copy and that of one of the others.

    Attributes:
        within: both images are of one identity.
        across: of two.

    Example:
        >>> digests = np.array([[1, 1], [2, 2], [1, 1]], np.uint64)
        >>> found = find_duplicate_images(np.array([0, 0, 1]), digests)
        >>> found.within.tolist(), found.across.tolist()
        ([], [[0, 2]])
    """

    within: np.ndarray
    across: np.ndarray


def find_duplicate_images(labels: np.ndarray, digests: np.ndarray) -> Duplicates:
    """Finds all images that are equal byte for byte.

    Args:
        labels: int [records]; those below 0 are passed over.
        digests: uint64 [records, 2], a hash of each image.
    """
    records = np.flatnonzero(labels >= 0)
    digests, labels = digests[records], labels[records]
    order = np.lexsort((labels, digests[:, 1], digests[:, 0]))
    records, digests, labels = records[order], digests[order], labels[order]

    same_image = np.zeros(len(records), bool)
    same_image[1:] = (digests[1:] == digests[:-1]).all(axis=1)
    same_identity = same_image.copy()
    same_identity[1:] &= labels[1:] == labels[:-1]
    places = np.arange(len(records))
    first_of_image = np.maximum.accumulate(np.where(same_image, 0, places))
    first_of_identity = np.maximum.accumulate(np.where(same_identity, 0, places))

    def pairs(first: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        found = np.stack([records[first[chosen]], records[chosen]], axis=1)
        return found[np.lexsort((found[:, 1], found[:, 0]))]

    return Duplicates(
        within=pairs(first_of_identity, same_identity),
        across=pairs(first_of_image, same_image & ~same_identity),
    )


def describe_pairs(inspection: Inspection, pairs: np.ndarray) -> Iterator[tuple[str, ...]]:
    """Yields what each pair is, in words: the values of `PAIR_COLUMNS`.

    Args:
        inspection: of the dataset.
        pairs: int [num_pairs, 2], indices of images.
    """
    identities = inspection.dataset.identities
    for first, second in pairs.tolist():
        sides = []
        for index in (first, second):
            record, label = inspection.files.read(index)
            sides.append((*identities[label], record.filename))
        yield (*sides[0], *sides[1])


def write_duplicate_images(path: Path, inspection: Inspection, duplicates: Duplicates) -> None:
    """Writes all pairs as a CSV file; those across identities come first.

    Args:
        path: the file to write.
        inspection: of the dataset.
        duplicates: its pairs.

    Raises InputError: the file can't be written.
    """
    rows = (
        safe_row((kind, *row))
        for kind, pairs in (("across", duplicates.across), ("within", duplicates.within))
        for row in describe_pairs(inspection, pairs)
    )
    write_csv(path, ["kind", *PAIR_COLUMNS], rows)
