"""Photos of people that users give to a gallery, and their faces."""

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from tfface import arguments
from tfface.alignment.photo_faces import Photo, encode_photo
from tfface.alignment.photos import (
    photos_among,
    photos_at,
    read_photo_file,
    warn_of_others,
    warn_of_skipped,
)
from tfface.api.embedding import Embedder
from tfface.data.records.reader import LazySequence
from tfface.data.sources.opening import detect_format, open_source
from tfface.errors import InputError
from tfface.evaluation.labeled_faces import LabeledFaces, faces_of_people, labeled_faces
from tfface.gallery.photos import EnrolledFaces, align_people
from tfface.images.listing import looks_like_image
from tfface.images.people_folder import list_people
from tfface.names import warn_of_case
from tfface.paths import expanded, printable

# Photos of people: a folder with one folder for each person (or any other source of images), or
# the photos of each name.
People: TypeAlias = str | os.PathLike[str] | Mapping[str, Photo | Sequence[Photo]]


def photos_of(people: People) -> LabeledFaces:
    """Returns the photos of people, labeled by their names.

    Args:
        people: by the user.

    Raises:
        InputError: it is no `People`, there are no photos, or a source can't be opened.
    """
    if isinstance(people, Mapping):
        names, photos = [], []
        for name, given in people.items():
            arguments.text("the name of a person", name)
            for photo in _listed(given):
                names.append(name)
                photos.append(photo)
        if not photos:
            raise InputError("no photos of people were given")
        shown = [
            os.fspath(photo) if isinstance(photo, str | os.PathLike) else f"{name}, photo {number}"
            for number, (name, photo) in enumerate(zip(names, photos, strict=True), 1)
        ]
        # Those in memory are checked now; a file that can't be read is skipped later.
        given = [p if isinstance(p, str | os.PathLike) else encode_photo(p) for p in photos]
        images = LazySequence(lambda index: encode_photo(given[index]), np.arange(len(given)))
        return faces_of_people(names, images, shown, name="the gallery")
    if isinstance(people, np.ndarray | bytes | list | tuple | Image.Image):
        raise InputError("photos in memory need the name of the person: name=NAME, or a dict")
    if not isinstance(people, str | os.PathLike):
        raise arguments.wrong("people", "a path, or a dict from name to photos", people)
    if looks_like_image(expanded(people)):
        raise InputError(f"{people}: one photo needs the name of the person: name=NAME")
    path = expanded(people)
    if path.is_dir() and detect_format(path) == "folder":
        return _photos_in(path)
    return labeled_faces(open_source(os.fspath(people)).source)


def _photos_in(folder: Path) -> LabeledFaces:
    """Returns the photos in folders of people, with those that can't be read."""
    people = list_people(folder, skip_unusable=True)
    warn_of_case(people, str(folder))
    paths = [os.fsdecode(path) for paths in people.values() for path in paths]

    def read(index: int) -> bytes:
        try:
            return read_photo_file(folder / paths[index])
        except InputError as error:
            raise InputError(f"{printable(paths[index])}: can't be read: {error}") from error

    names = [name for name, paths in people.items() for _ in paths]
    images = LazySequence(read, np.arange(len(paths)))
    return faces_of_people(names, images, paths, name=printable(folder.resolve().name))


def _listed(photos: Any) -> list[Photo]:
    """Returns the photos of one person; folders become the photos in them."""
    is_several = isinstance(photos, list | tuple) or (
        isinstance(photos, np.ndarray) and photos.ndim == 4
    )
    if not is_several:
        is_path = isinstance(photos, str | os.PathLike)
        return list(photos_at(expanded(photos))) if is_path else [photos]
    listed: list[Photo] = []
    others = []
    for is_path, group in itertools.groupby(photos, lambda one: isinstance(one, str | os.PathLike)):
        if is_path:
            found, no_photos = photos_among(map(expanded, group))
            listed += found
            others += no_photos
        else:
            listed += group
    warn_of_others(others)
    return listed


def enroll(embedder: Embedder, photos: LabeledFaces, *, aligned: bool) -> EnrolledFaces:
    """Returns the faces to enroll; warns of photos without one.

    Args:
        embedder: of the gallery.
        photos: as `photos_of` returns them.
        aligned: they are aligned faces already.

    Raises:
        InputError: no photo has a usable face.
    """
    if aligned:
        embedder.warn_of_model(photos.images, photos.image_names)
        embedder.warn_of_unaligned(photos.images, photos.image_names, photos.name)
        return EnrolledFaces(photos, [], [])
    enrolled = align_people(photos, embedder.image_size)
    faces, skipped = enrolled.faces, enrolled.skipped
    if not len(faces):
        photo, reason = skipped[0]
        raise InputError(
            f"no usable face in {len(photos):,} photos (for example {photo}: {reason}); if they "
            "are aligned faces already, say so: --aligned, or aligned=True in Python"
        )
    warn_of_skipped(skipped, len(photos))
    embedder.warn_of_model(faces.images, faces.image_names)
    return enrolled
