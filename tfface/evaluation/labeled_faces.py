"""Faces whose names are known: galleries, and queries to be searched in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tfface import seeding
from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError
from tfface.evaluation.duplicate_identities import choose_images
from tfface.files import printable
from tfface.images.decoding import content_digest
from tfface.names import clean_name, same_name


@dataclass(frozen=True)
class NamedFaces:
    """Images of people.

    Attributes:
        name: what messages and tables call the set.
        names: of its people, as text that can be written anywhere; some may have no image here.
        labels: int64 [num_images], whose each image is: a place in `names`.
        images: encoded; read when they are asked for.
        image_names: what to call each image, likewise.
    """

    name: str
    names: Sequence[str]
    labels: np.ndarray
    images: "LazyImages"
    image_names: Sequence[str]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: np.ndarray) -> "NamedFaces":
        """Returns some of the images, by their places."""
        return replace(
            self,
            labels=self.labels[chosen],
            images=LazyImages(self.images.read, self.images.places[chosen]),
            image_names=_Lazy(self.image_names.read, self.image_names.places[chosen]),
        )

    def people(self) -> np.ndarray:
        """Returns the labels that have images, rising."""
        return np.unique(self.labels)


class _Lazy(Sequence):
    """What a function gives for some places, when it is asked for."""

    def __init__(self, read: Callable[[int], object], places: np.ndarray):
        self.read = read
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index):
        return self.read(int(self.places[index]))


class LazyImages(_Lazy):
    """Encoded images that are read when they are asked for; which content each had is remembered.

    Args:
        read: returns an image by its place.
        places: int64 [num_images].
    """

    def __init__(self, read: Callable[[int], bytes], places: np.ndarray):
        super().__init__(read, places)
        self._digests: list[bytes | None] = [None] * len(places)

    def __getitem__(self, index: int) -> bytes:
        encoded = super().__getitem__(index)
        self._digests[index] = content_digest(encoded)
        return encoded

    def digest(self, index: int) -> bytes:
        """Returns the `content_digest` of an image; it is read only if it hasn't been yet."""
        if self._digests[index] is None:
            self[index]
        return self._digests[index]

    def digests(self) -> list[bytes]:
        """Returns `digest` of all images."""
        return [self.digest(index) for index in range(len(self))]


def named_faces(source: ImageSource) -> NamedFaces:
    """Returns the images of a source with the names of its identities.

    Identities of one source whose names `clean_name` makes the same are one person. Where two
    sources of a converted dataset have identities of one name (as numbers are), they are different
    people, and their names are SOURCE/NAME.

    Raises InputError: a name is empty, or holds control characters.
    """
    people = [(identity.source, _name(identity.name)) for identity in source.identities]
    different = list(dict.fromkeys(people))
    label_of = {person: label for label, person in enumerate(different)}
    labels = np.array([label_of[person] for person in people], np.int64)
    names = [name for _, name in different]
    if len(set(names)) < len(names):
        names = [_name(f"{source}/{name}") for source, name in different]
    places = np.arange(source.num_images)
    return NamedFaces(
        name=printable(source.name),
        names=names,
        labels=labels[np.asarray(source.labels, np.int64)],
        images=LazyImages(lambda index: source.read(index).encoded, places),
        image_names=_Lazy(lambda index: printable(source.filename(index)), places),
    )


def faces_of_one(name: str, images: Sequence[bytes], image_names: Sequence[str]) -> NamedFaces:
    """Returns images of one person.

    Raises InputError: the name is empty, or holds control characters.
    """
    places = np.arange(len(images))
    name = _name(name)
    return NamedFaces(
        name=name,
        names=[name],
        labels=np.zeros(len(images), np.int64),
        images=LazyImages(images.__getitem__, places),
        image_names=_Lazy(lambda index: printable(image_names[index]), places),
    )


def _name(name: str) -> str:
    return printable(clean_name(name))


def hold_out(faces: NamedFaces, share: float, seed: int, among: np.ndarray) -> np.ndarray:
    """Draws people who are kept out of a gallery, so that their queries are strangers' there.

    Args:
        share: of `among`, in (0, 1).
        among: labels that they are drawn from.
    Returns: bool [num_images], the images of those who stay.
    Raises InputError: the share is nobody, or everybody.
    """
    count = round(share * len(among))
    if not 0 < count < len(among):
        raise InputError(
            f"{faces.name}: {share:g} of {len(among)} identities are {count}: choose a share that "
            "keeps at least one out, and leaves at least one"
        )
    drawn = seeding.permutation(seeding.fold(seed, 1), len(among))[:count]
    return ~np.isin(faces.labels, among[drawn])


def split_faces(
    faces: NamedFaces, per_identity: int, seed: int, unknown: float = 0.0
) -> tuple[NamedFaces, NamedFaces]:
    """Makes a gallery and queries of one set of faces.

    An identity with no more than `per_identity` images is in the gallery only, where others may be
    mistaken for it. All images of those who are kept out of the gallery are queries.

    Args:
        per_identity: images of each identity in the gallery, > 0; drawn by `seed`.
        unknown: share of the identities that are kept out of it, in [0, 1).
    Raises InputError: no identity has more images than that, or as `hold_out`.
    """
    known = np.ones(len(faces), bool)
    if unknown:
        known = hold_out(faces, unknown, seed, faces.people())
    if not (np.bincount(faces.labels[known]) > per_identity).any():
        who = "identity that stays in the gallery" if unknown else "identity"
        raise InputError(
            f"{faces.name}: no {who} has more than {per_identity} images, so none is left to be a "
            "query: split off fewer"
        )
    in_gallery = np.zeros(len(faces), bool)
    in_gallery[choose_images(np.where(known, faces.labels, -1), per_identity, seed)] = True
    return faces.take(np.flatnonzero(in_gallery)), faces.take(np.flatnonzero(~in_gallery))


def right_labels(gallery: NamedFaces, queries: NamedFaces, nobody: int) -> np.ndarray:
    """Returns whose each query is, by name: int64 [queries], a label of the gallery or `nobody`."""
    in_gallery = set(gallery.people().tolist())
    labels = {
        same_name(name): label for label, name in enumerate(gallery.names) if label in in_gallery
    }
    of_names = np.array([labels.get(same_name(name), nobody) for name in queries.names], np.int64)
    return of_names[queries.labels]


def same_images(gallery: NamedFaces, queries: NamedFaces) -> int:
    """Returns how many queries are, byte for byte, an image of the gallery."""
    known = set(gallery.images.digests())
    return sum(digest in known for digest in queries.images.digests())
