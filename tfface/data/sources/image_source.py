"""What sources share; the package's docstring lists all that a source has."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfface import seeding
from tfface.data.records.example import Record, attribute_value
from tfface.data.records.manifest import Identity
from tfface.errors import InputError

# Read, or given their numbers, together.
_BLOCK = 64


class ImageSource(ABC):
    """Base of all sources.

    Attributes:
        name: what the source is called in `Identity.source`.
        identities: position = label.
        labels: int32 [num_images].
        attribute_names: what is known of images besides their identity (pose, light, ...).
        is_stream: `encoded` reads from front to back, and so can give no image twice.
        image_size: (height, width) when all images are known to have it, else None.
        record_files: the TFRecord files that hold exactly the images; none for other sources.
    """

    name: str
    identities: list[Identity]
    labels: np.ndarray
    attribute_names: tuple[str, ...] = ()
    is_stream: bool = False
    image_size: tuple[int, int] | None = None
    record_files: tuple[Path, ...] = ()

    @property
    def num_images(self) -> int:
        return len(self.labels)

    @property
    def num_identities(self) -> int:
        return len(self.identities)

    @cached_property
    def left_out(self) -> list[tuple[str, int, int]]:
        """(why, identities, images) for what the source holds but was told to leave out."""
        return []

    @cached_property
    def notes(self) -> list[str]:
        """Lines that the user should see once, when the source begins to be used."""
        return []

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A text that changes when the images do, and is found without reading them all."""

    @abstractmethod
    def filename(self, index: int) -> str:
        """Returns what to call an image in an error: its path inside the source."""

    @abstractmethod
    def read(self, index: int) -> Record:
        """Reads one image, unchanged, with its attributes; threads may do so at once.

        Raises:
            InputError: it can't be read.
        """

    def origins(self, images: np.ndarray) -> list[tuple["ImageSource", np.ndarray]]:
        """Returns where images are: for each source that is made of no other, the images there."""
        return [(self, images)]

    def file_ids(self, images: np.ndarray) -> np.ndarray:
        """Returns device and inode of images' files: int64 [n, 2], -1 where they have none."""
        return np.full((len(images), 2), -1, np.int64)

    def attribute(self, name: str) -> np.ndarray:
        """Returns what an attribute is of every image: text, object [num_images], "" for unknown.

        Raises:
            InputError: there is no such attribute.
        """
        if name not in self.attribute_names:
            known = ", ".join(self.attribute_names) or "none"
            raise InputError(f"{self.name}: no attribute '{name}'; there are: {known}")
        return self._attribute_values(name)

    def _attribute_values(self, name: str) -> np.ndarray:
        """As `attribute`; overridden where that takes no reading of all images."""
        records = (self.read(index) for index in range(self.num_images))
        return np.array([attribute_value(record, name) for record in records], object)

    def encoded(
        self, indices: np.ndarray, shuffle_seed: int | None = None, first: int = 0
    ) -> tf.data.Dataset:
        """As the package says, by `read`; overridden where TensorFlow can read by itself."""

        def read(block: np.ndarray) -> np.ndarray:
            return np.array([self.read(int(index)).encoded for index in block], object)

        def read_block(block: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            encoded = tf.numpy_function(read, [block], tf.string, stateful=False)
            return block, tf.ensure_shape(encoded, block.shape)

        blocks = ordered_indices(indices, shuffle_seed, first).batch(_BLOCK)
        return blocks.map(read_block, tf.data.AUTOTUNE, deterministic=True).unbatch()


def ordered_indices(
    indices: np.ndarray, shuffle_seed: int | None = None, first: int = 0
) -> tf.data.Dataset:
    """The order of `encoded` for a source that can read any image at once.

    Returns:
        tf.data of int64 []: `ordered`, but the first `first` of it.
    """
    return tf.data.Dataset.from_tensor_slices(ordered(indices, shuffle_seed)[first:])


def ordered(indices: np.ndarray, shuffle_seed: int | None) -> np.ndarray:
    """Returns `indices`, in a seeded order unless `shuffle_seed` is None: int64 [n]."""
    order = np.asarray(indices, np.int64)
    if shuffle_seed is not None:
        order = order[seeding.permutation(shuffle_seed, len(order))]
    return order


def reindexed(
    dataset: tf.data.Dataset, numbers_of: Callable[[tf.Tensor], tf.Tensor]
) -> tf.data.Dataset:
    """Gives the images of another source the indices that they have here.

    Args:
        dataset: as `encoded` gives it.
        numbers_of: int64 [n] indices there -> int64 [n] here.
    """
    # One by one it would take longer than reading small images.
    blocks = dataset.batch(_BLOCK)
    return blocks.map(lambda indices, encoded: (numbers_of(indices), encoded)).unbatch()


class Subset(ImageSource):
    """Chosen images of a source; names, attributes and bytes are as there.

    Args:
        source: where they are.
        images: int [n], distinct, rising, each an image of the source.
        identities: int [m], rising, the labels there of the identities that are listed here, all
            of those of the images and maybe others; position = label here.
        left_out: (why, identities, images) for what was not chosen.
    """

    def __init__(
        self,
        source: ImageSource,
        images: np.ndarray,
        identities: np.ndarray,
        left_out: tuple[str, int, int] | None = None,
    ):
        self.name = source.name
        self.identities = [source.identities[label] for label in identities.tolist()]
        self.labels = np.searchsorted(identities, source.labels[images]).astype(np.int32)
        self.attribute_names = source.attribute_names
        self.is_stream = source.is_stream
        self.image_size = source.image_size
        self.left_out = [*source.left_out, *([left_out] if left_out else [])]
        self._source = source
        self._images = np.asarray(images, np.int64)

    @property
    def notes(self) -> list[str]:
        return self._source.notes

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the source's, and of which images and labels these are."""
        content = self._images.tobytes() + self.labels.tobytes()
        return hashlib.sha256(self._source.fingerprint.encode() + content).hexdigest()

    def filename(self, index: int) -> str:
        return self._source.filename(int(self._images[index]))

    def read(self, index: int) -> Record:
        return self._source.read(int(self._images[index]))

    def origins(self, images: np.ndarray) -> list[tuple[ImageSource, np.ndarray]]:
        return self._source.origins(self._images[images])

    def _attribute_values(self, name: str) -> np.ndarray:
        return self._source.attribute(name)[self._images]

    def encoded(
        self, indices: np.ndarray, shuffle_seed: int | None = None, first: int = 0
    ) -> tf.data.Dataset:
        places = np.full(self._source.num_images, -1, np.int64)
        places[self._images] = np.arange(self.num_images)
        there = self._source.encoded(self._images[indices], shuffle_seed, first)
        table = tf.constant(places)
        return reindexed(there, lambda indices: tf.gather(table, indices))


class SourceImages(Sequence):
    """The encoded bytes of some images, so that none is kept.

    Args:
        source: where they are.
        indices: int [n], of images of the source.
    """

    def __init__(self, source: ImageSource, indices: np.ndarray):
        self._source = source
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: int) -> bytes:
        return self._source.read(int(self._indices[place])).encoded


class SourceFilenames(SourceImages):
    """What the source calls them."""

    def __getitem__(self, place: int) -> str:
        return self._source.filename(int(self._indices[place]))
