"""Files that are images of two people, or of two sources, by symbolic or hard links.

They are known by device and inode, without being read. Copies are found where all images are read
anyhow: when a dataset is made of them (`convert.py`), and when it is inspected.
"""

import os
from collections.abc import Sequence

import numpy as np

from tfface.data.sources.image_source import ImageSource
from tfface.files import printable


def of_two_people(source: ImageSource) -> list[str]:
    """Returns a line on the files that several people of a source have, or none."""
    files = _files(source)
    first, other = _linked(files, source.labels)
    if not len(first):
        return []
    names = [
        f"{source.filename(int(image))} of {source.identities[source.labels[image]].name}"
        for image in (first[0], other[0])
    ]
    return [
        printable(
            f"warning: {_count(files[other])} of several people at once, by links: for "
            f"example {names[0]} is also {names[1]}"
        )
    ]


def of_two_sources(sources: Sequence[ImageSource], names: Sequence[str]) -> list[str]:
    """Returns a line on the files that several sources have, or none.

    Args:
        names: of the sources.
    """
    starts = np.cumsum([0] + [source.num_images for source in sources])
    number = np.repeat(np.arange(len(sources)), np.diff(starts))
    files = np.concatenate([_files(source) for source in sources])
    first, other = _linked(files, number)
    if not len(first):
        return []
    places = [
        os.path.join(names[i], sources[i].filename(int(image - starts[i])))
        for image, i in ((image, int(number[image])) for image in (first[0], other[0]))
    ]
    return [
        printable(
            f"warning: {_count(files[other])} in several sources, by links: for example "
            f"{places[0]} is also {places[1]}"
        )
    ]


def _files(source: ImageSource) -> np.ndarray:
    """Returns device and inode of each image's file, int64 [images, 2]; (-1, -1) without one."""
    origins = source.origins(np.arange(source.num_images))
    return np.concatenate([origin.file_ids(images) for origin, images in origins])


def _linked(files: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns images of one group and of another that are one file, int64 [n] each.

    Of a file that n groups have there are n - 1 pairs, each of the first group's.

    Args:
        files: as `_files` gives them.
        groups: int [images].
    """
    # Some network drives have no inodes: all are 0 there.
    images = np.flatnonzero(files[:, 1] > 0)
    images = images[np.lexsort((images, groups[images], files[images, 1], files[images, 0]))]
    same_file = np.zeros(len(images), bool)
    same_file[1:] = (files[images[1:]] == files[images[:-1]]).all(axis=1)
    other_group = same_file.copy()
    other_group[1:] &= groups[images[1:]] != groups[images[:-1]]
    first_of_file = np.maximum.accumulate(np.where(same_file, 0, np.arange(len(images))))
    first, other = images[first_of_file[other_group]], images[other_group]
    order = np.lexsort((other, first))
    return first[order], other[order]


def _count(files: np.ndarray) -> str:
    count = len(np.unique(files, axis=0))
    return "1 file is" if count == 1 else f"{count:,} files are"
