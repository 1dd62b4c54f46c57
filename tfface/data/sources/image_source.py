"""The base class of sources, subsets, and lazy sequences of images."""

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
from tfface.data.records.reader import LazySequence
from tfface.errors import InputError

# Images that are read, or renumbered, together.
_BLOCK = 64


class ImageSource(ABC):
    """Base class of all sources.

    Attributes:
        name: the source's name in `Identity.source`.
        identities: position = label.
        labels: int32 [num_images].
        attribute_names: attributes of images besides the identity (pose, light, ...).
        is_stream: `encoded` reads sequentially, and so can't return an image twice.
        image_size: (height, width) if all images are known to have it, else None.
        record_files: the TFRecord files that contain exactly the images; none for other sources.
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
        """(reason, identities, images) for content that options exclude."""
        return []

    @cached_property
    def notes(self) -> list[str]:
        """Messages for the user, which are shown once."""
        return []

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A text that changes when the images change; it is computed without reading them all."""

    @abstractmethod
    def filename(self, index: int) -> str:
        """Returns an image's path inside the source, its name in messages."""

    @abstractmethod
    def read(self, index: int) -> Record:
        """Reads an image, unchanged, with its attributes; it is thread-safe.

        Raises:
            InputError: it can't be read.
        """

    def origins(self, images: np.ndarray) -> list[tuple["ImageSource", np.ndarray]]:
        """Returns (underlying source, indices of the images in it) for each underlying source."""
        return [(self, images)]

    def file_ids(self, images: np.ndarray) -> np.ndarray:
        """Returns device and inode of images' files: int64 [n, 2], -1 without a file."""
        return np.full((len(images), 2), -1, np.int64)

    def attribute(self, name: str) -> np.ndarray:
        """Returns an attribute of every image: text, object [num_images], "" if unknown.

        Raises:
            InputError: there is no such attribute.
        """
        if name not in self.attribute_names:
            known = ", ".join(self.attribute_names) or "none"
            raise InputError(f"{self.name}: no attribute '{name}'; there are: {known}")
        return self._attribute_values(name)

    def _attribute_values(self, name: str) -> np.ndarray:
        """As `attribute`; sources that need not read all images override it."""
        records = (self.read(index) for index in range(self.num_images))
        return np.array([attribute_value(record, name) for record in records], object)

    def encoded(
        self, indices: np.ndarray, shuffle_seed: int | None = None, first: int = 0
    ) -> tf.data.Dataset:
        """See the package; uses `read`, and is overridden by sources that TensorFlow can read."""

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
    """The order of `encoded` for a source with random access.

    Returns:
        tf.data of int64 []: `ordered`, but the first `first` of it.
    """
    return tf.data.Dataset.from_tensor_slices(ordered(indices, shuffle_seed)[first:])


def ordered(indices: np.ndarray, shuffle_seed: int | None) -> np.ndarray:
    """Returns `indices`, int64 [n], shuffled unless `shuffle_seed` is None."""
    order = np.asarray(indices, np.int64)
    if shuffle_seed is not None:
        order = order[seeding.permutation(shuffle_seed, len(order))]
    return order


def reindexed(
    dataset: tf.data.Dataset, numbers_of: Callable[[tf.Tensor], tf.Tensor]
) -> tf.data.Dataset:
    """Replaces the indices of another source's images.

    Args:
        dataset: as `encoded` returns it.
        numbers_of: int64 [n] indices in the other source -> int64 [n] new indices.

    Returns:
        The dataset with new indices.
    """
    # Image by image, this would take longer than reading small images.
    blocks = dataset.batch(_BLOCK)
    return blocks.map(lambda indices, encoded: (numbers_of(indices), encoded)).unbatch()


class Subset(ImageSource):
    """A subset of the images of a source, with the same names, attributes and bytes.

    Args:
        source: the source.
        images: int [n], sorted distinct indices of images.
        identities: int [m], sorted labels of the identities of the subset, at least those of the
            images; position = new label.
        left_out: (reason, identities, images) for the rest.

    Example:
        >>> from tfface.data.sources.synthetic import SyntheticSource
        >>> source = SyntheticSource(num_identities=2, images_per_identity=3, size=32)
        >>> subset = Subset(source, np.array([0, 5]), np.array([0, 1]))
        >>> subset.num_images, subset.labels.tolist(), subset.filename(1)
        (2, [0, 1], '000001/0002.jpg')
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
        """A hash of the source's fingerprint, the images and the labels."""
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
        index_of = np.full(self._source.num_images, -1, np.int64)
        index_of[self._images] = np.arange(self.num_images)
        dataset = self._source.encoded(self._images[indices], shuffle_seed, first)
        table = tf.constant(index_of)
        return reindexed(dataset, lambda indices: tf.gather(table, indices))


class SourceImages(LazySequence):
    """Encoded images of a source, read on access.

    Args:
        source: the source.
        indices: int [n], of images of the source.

    Example:
        >>> from tfface.data.sources.synthetic import SyntheticSource
        >>> source = SyntheticSource(num_identities=2, images_per_identity=3, size=32)
        >>> images = SourceImages(source, [4])
        >>> len(images), images[0][6:10]
        (1, b'JFIF')
    """

    def __init__(self, source: ImageSource, indices: Sequence[int] | np.ndarray):
        super().__init__(lambda index: source.read(index).encoded, indices)
        self._source = source

    def origins(self) -> list[tuple[ImageSource, np.ndarray]]:
        """Returns the underlying sources, as `ImageSource.origins` does."""
        return self._source.origins(np.asarray(self.indices))

    def filenames(self) -> "SourceFilenames":
        """Returns the file names of the images."""
        return SourceFilenames(self._source, self.indices)


class SourceFilenames(LazySequence):
    """File names of images of a source, read on access; as `SourceImages`.

    Example:
        >>> from tfface.data.sources.synthetic import SyntheticSource
        >>> source = SyntheticSource(num_identities=2, images_per_identity=3, size=32)
        >>> list(SourceFilenames(source, [0, 4]))
        ['000000/0000.jpg', '000001/0001.jpg']
    """

    def __init__(self, source: ImageSource, indices: Sequence[int] | np.ndarray):
        super().__init__(source.filename, indices)
