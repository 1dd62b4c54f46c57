"""Labeled face images: galleries, and queries to identify in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tfface import seeding
from tfface.data.records.reader import LazySequence
from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError
from tfface.images.decoding import content_digest
from tfface.names import clean_name, same_name
from tfface.paths import printable


@dataclass(frozen=True)
class LabeledFaces:
    """A set of face images with the names of the people.

    Attributes:
        name: the set's name in messages and tables.
        names: of its identities, printable; some may have no image in the set.
        labels: int64 [num_images], index in `names`.
        images: encoded images, a lazy sequence.
        image_names: the images' names, printable.

    Example:
        >>> from tfface.data.sources.synthetic import SyntheticSource
        >>> faces = labeled_faces(SyntheticSource(num_identities=2, images_per_identity=3, size=32))
        >>> part = faces.take(np.array([0, 5]))
        >>> len(part), part.labels.tolist(), part.identities().tolist()
        (2, [0, 1], [0, 1])
    """

    name: str
    names: Sequence[str]
    labels: np.ndarray
    images: "LazyImages"
    image_names: Sequence[str]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> "LabeledFaces":
        """Returns the images at `indices`, with the same labels and names.

        Args:
            indices: int or bool [num_images].
        """
        return replace(
            self,
            labels=self.labels[indices],
            images=self.images.take(indices),
            image_names=LazySequence(self.image_names.read, self.image_names.indices[indices]),
        )

    def identities(self) -> np.ndarray:
        """Returns the sorted labels that have images."""
        return np.unique(self.labels)


class LazyImages(LazySequence):
    """Encoded images that are read on access; the digest of each is remembered.

    Args:
        read: returns the image at an index.
        indices: int64 [num_images].
        digests: of the images, if they are known, or of the photos that the images were cut from.

    Example:
        >>> images = LazyImages([b"first", b"second"].__getitem__, np.array([1]))
        >>> len(images), images[0], len(images.digest(0))
        (1, b'second', 32)
    """

    def __init__(
        self,
        read: Callable[[int], bytes],
        indices: np.ndarray,
        digests: Sequence[bytes | None] | None = None,
    ):
        super().__init__(read, indices)
        self._digests = [None] * len(indices) if digests is None else list(digests)

    def __getitem__(self, index: int) -> bytes:
        encoded = super().__getitem__(index)
        if self._digests[index] is None:
            self._digests[index] = content_digest(encoded)
        return encoded

    def take(self, indices: np.ndarray) -> "LazyImages":
        """Returns the images at `indices`."""
        digests = [self._digests[index] for index in indices.tolist()]
        return LazyImages(self.read, self.indices[indices], digests)

    def digest(self, index: int) -> bytes:
        """Returns the `content_digest` of an image; reads it only if that hasn't happened yet.

        Args:
            index: position of the image.
        """
        if self._digests[index] is None:
            self[index]
        return self._digests[index]

    def digests(self) -> list[bytes]:
        """Returns the digests of all images."""
        return [self.digest(index) for index in range(len(self))]


def labeled_faces(source: ImageSource) -> LabeledFaces:
    """Returns the images of a source, labeled by the names of its identities.

    Identities of one source whose names `clean_name` makes equal are one person. Identities of the
    same name in two sources of a converted dataset are different people (their names may be
    numbers), and are named SOURCE/NAME.

    Args:
        source: the images.

    Returns:
        The labeled images.

    Raises:
        InputError: a name is empty or contains control characters.

    Example:
        >>> from tfface.data.sources.synthetic import SyntheticSource
        >>> faces = labeled_faces(SyntheticSource(num_identities=2, images_per_identity=3, size=32))
        >>> faces.names, faces.labels.tolist()
        (['000000', '000001'], [0, 0, 0, 1, 1, 1])
    """
    people = [(identity.source, _name(identity.name)) for identity in source.identities]
    different = list(dict.fromkeys(people))
    label_of = {person: label for label, person in enumerate(different)}
    labels = np.array([label_of[person] for person in people], np.int64)
    names = [name for _, name in different]
    if len(set(names)) < len(names):
        names = [_name(f"{source}/{name}") for source, name in different]
    indices = np.arange(source.num_images)
    return LabeledFaces(
        name=printable(source.name),
        names=names,
        labels=labels[np.asarray(source.labels, np.int64)],
        images=LazyImages(lambda index: source.read(index).encoded, indices),
        image_names=LazySequence(lambda index: printable(source.filename(index)), indices),
    )


def faces_of_person(name: str, images: Sequence[bytes], image_names: Sequence[str]) -> LabeledFaces:
    """Returns images of one person.

    Args:
        name: of the person and of the set.
        images: encoded images.
        image_names: the images' names.

    Returns:
        The labeled images.

    Raises:
        InputError: the name is empty or contains control characters.
    """
    indices = np.arange(len(images))
    name = _name(name)
    return LabeledFaces(
        name=name,
        names=[name],
        labels=np.zeros(len(images), np.int64),
        images=LazyImages(images.__getitem__, indices),
        image_names=LazySequence(lambda index: printable(image_names[index]), indices),
    )


def faces_of_people(
    people: Sequence[str], images: Sequence[bytes], image_names: Sequence[str], *, name: str
) -> LabeledFaces:
    """Returns images of several people.

    Args:
        people: the person in each image.
        images: encoded images; it may be a lazy sequence.
        image_names: the images' names.
        name: of the set.

    Returns:
        The labeled images.

    Raises:
        InputError: a person's name is empty or contains control characters.
    """
    cleaned = [_name(person) for person in people]
    different = list(dict.fromkeys(cleaned))
    label_of = {person: label for label, person in enumerate(different)}
    indices = np.arange(len(images))
    return LabeledFaces(
        name=name,
        names=different,
        labels=np.array([label_of[person] for person in cleaned], np.int64),
        images=LazyImages(images.__getitem__, indices),
        image_names=LazySequence(lambda index: printable(image_names[index]), indices),
    )


def _name(name: str) -> str:
    return printable(clean_name(name))


def sample_images(labels: np.ndarray, per_identity: int, seed: int) -> np.ndarray:
    """Samples up to `per_identity` images of each identity.

    Args:
        labels: int [images]; images with a negative label are ignored.
        per_identity: > 0.
        seed: of the sample.

    Returns:
        Sorted indices of the images.
    """
    images = np.flatnonzero(labels >= 0)
    order = np.lexsort((seeding.words(seeding.fold(seed), len(images)), labels[images]))
    _, counts = np.unique(labels[images], return_counts=True)
    rank = np.arange(len(images)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(images[order[rank < per_identity]])


def hold_out_identities(
    faces: LabeledFaces, fraction: float, seed: int, among: np.ndarray
) -> np.ndarray:
    """Samples identities that are held out of a gallery, so that their queries are non-mated.

    Args:
        faces: the gallery.
        fraction: of `among`, in (0, 1).
        seed: of the sample.
        among: the labels to sample from.

    Returns:
        bool [num_images], True for images of the identities that stay.

    Raises:
        InputError: no identity, or every identity, would be held out.
    """
    count = round(fraction * len(among))
    if not 0 < count < len(among):
        raise InputError(
            f"{faces.name}: {fraction:g} of {len(among)} identities are {count}: choose a fraction "
            "that holds out at least one identity and keeps at least one"
        )
    held_out = seeding.permutation(seeding.fold(seed, 1), len(among))[:count]
    return ~np.isin(faces.labels, among[held_out])


def split_gallery_and_queries(
    faces: LabeledFaces, per_identity: int, seed: int, unknown: float = 0.0
) -> tuple[LabeledFaces, LabeledFaces]:
    """Splits a set of faces into a gallery and queries.

    An identity with at most `per_identity` images is in the gallery only, as a distractor. All
    images of held-out identities are queries.

    Args:
        faces: the set.
        per_identity: gallery images of each identity, > 0.
        seed: of the samples.
        unknown: fraction of the identities that are held out of the gallery, in [0, 1).

    Returns:
        The gallery and the queries.

    Raises:
        InputError: no identity has more images than `per_identity`, or as `hold_out_identities`.
    """
    known = np.ones(len(faces), bool)
    if unknown:
        known = hold_out_identities(faces, unknown, seed, faces.identities())
    if not (np.bincount(faces.labels[known]) > per_identity).any():
        who = "identity that stays in the gallery" if unknown else "identity"
        raise InputError(
            f"{faces.name}: no {who} has more than {per_identity} images, so none is left as a "
            "query: use fewer for the gallery"
        )
    in_gallery = np.zeros(len(faces), bool)
    in_gallery[sample_images(np.where(known, faces.labels, -1), per_identity, seed)] = True
    return faces.take(np.flatnonzero(in_gallery)), faces.take(np.flatnonzero(~in_gallery))


def true_labels(gallery: LabeledFaces, queries: LabeledFaces, unknown: int) -> np.ndarray:
    """Returns the gallery label of each query's person, matched by name.

    Args:
        gallery, queries: the sets.
        unknown: the label of queries whose person has no image in the gallery.

    Returns:
        int64 [queries].
    """
    in_gallery = set(gallery.identities().tolist())
    labels = {
        same_name(name): label for label, name in enumerate(gallery.names) if label in in_gallery
    }
    of_names = np.array([labels.get(same_name(name), unknown) for name in queries.names], np.int64)
    return of_names[queries.labels]


def count_shared_images(gallery: LabeledFaces, queries: LabeledFaces) -> int:
    """Returns the number of queries that are byte-identical to an image of the gallery.

    Args:
        gallery, queries: the sets.
    """
    known = set(gallery.images.digests())
    return sum(digest in known for digest in queries.images.digests())
