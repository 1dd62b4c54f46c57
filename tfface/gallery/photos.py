"""From photos of people to the aligned faces that a gallery enrolls."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tfface.alignment.detection import shared_detector
from tfface.alignment.photo_faces import NO_FACE, align_photo, open_photo
from tfface.alignment.photos import why_unread
from tfface.errors import InputError
from tfface.evaluation.labeled_faces import LabeledFaces, LazyImages
from tfface.progress import progress


class EnrolledFaces(NamedTuple):
    """The faces of photos.

    Attributes:
        faces: the most important face of each photo that has one, aligned. The digest of each is
            that of its photo, so that a photo that is added again is known.
        skipped: (photo, reason) for the other photos.
        several: photos with several faces.
    """

    faces: LabeledFaces
    skipped: list[tuple[str, str]]
    several: list[str]


def align_people(photos: LabeledFaces, image_size: tuple[int, int]) -> EnrolledFaces:
    """Finds and aligns the face of each photo, with a progress bar.

    Args:
        photos: raw photos of people.
        image_size: (height, width) of an aligned face.

    Returns:
        The faces, and photos that have none or several.
    """
    encoded: list[bytes] = []
    kept: list[int] = []
    skipped, several = [], []
    detector = shared_detector()

    def align(index: int):
        try:
            photo = open_photo(photos.images[index])
        except InputError as error:
            return why_unread(error, photos.image_names[index])
        return align_photo(detector, photo, image_size=image_size)

    with (
        progress(total=len(photos), description="aligning", unit="photos") as bar,
        ThreadPoolExecutor(os.cpu_count()) as workers,
    ):
        for index, found in enumerate(workers.map(align, range(len(photos)))):
            name = photos.image_names[index]
            if isinstance(found, str):
                skipped.append((name, found))
            elif not found:
                skipped.append((name, NO_FACE))
            else:
                encoded.append(found[0].encode())
                kept.append(index)
                if len(found) > 1:
                    several.append(name)
            bar.update()
    faces = photos.take(np.array(kept, np.int64))
    digests = [photos.images.digest(index) for index in kept]
    images = LazyImages(encoded.__getitem__, np.arange(len(encoded)), digests)
    return EnrolledFaces(replace(faces, images=images), skipped, several)
