"""Some images of another source, as a source."""

import hashlib
from functools import cached_property

import numpy as np
import tensorflow as tf

from tfface.data.records.example import Record
from tfface.data.sources.image_source import ImageSource, renumbered


class Selection(ImageSource):
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
        return renumbered(there, lambda indices: tf.gather(table, indices))
