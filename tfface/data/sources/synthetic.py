"""Synthetic faces, for training without any download."""

import hashlib
from functools import cached_property
from typing import Annotated

import numpy as np
import tensorflow as tf
from pydantic import Field

from tfface.data.records.example import Record
from tfface.data.records.manifest import Identity
from tfface.data.sources.image_source import ImageSource, ordered_indices
from tfface.errors import InputError
from tfface.synthetic import render_face, render_faces

_JPEG_QUALITY = 95
_MOST_IMAGES = 100_000_000


class SyntheticSource(ImageSource):
    """Synthetic faces, rendered on first access and kept in memory as JPEG (quality 95).

    Rendering needs 3 * size * size bytes of memory for each image.

    Args:
        num_identities: number of people.
        images_per_identity: number of images of each person.
        size: height and width in pixels.
        seed: of the population; another seed gives other people.
        name: the source's name in `Identity.source`.

    Raises:
        InputError: there would be more than 100,000,000 images.

    Example:
        >>> source = SyntheticSource(num_identities=2, images_per_identity=3, size=32)
        >>> source.num_images, source.labels.tolist(), source.filename(4)
        (6, [0, 0, 0, 1, 1, 1], '000001/0001.jpg')
    """

    def __init__(
        self,
        num_identities: Annotated[int, Field(ge=1, lt=1_000_000)] = 200,
        images_per_identity: Annotated[int, Field(ge=1)] = 20,
        size: Annotated[int, Field(ge=32, le=1024)] = 112,
        seed: Annotated[int, Field(ge=0)] = 0,
        *,
        name: str | None = None,
    ):
        if num_identities * images_per_identity > _MOST_IMAGES:
            raise InputError(
                f"synthetic: {num_identities:,} num_identities of {images_per_identity:,} "
                f"images_per_identity: must be {_MOST_IMAGES:,} images at most"
            )
        self._images_per_identity = images_per_identity
        self._size = size
        self._seed = seed
        self.name = name or "synthetic"
        self.identities = [Identity(f"{i:06d}", self.name) for i in range(num_identities)]
        self.labels = np.repeat(np.arange(num_identities, dtype=np.int32), images_per_identity)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the options and of a rendered face, which depends on the renderer."""
        options = (self.num_identities, self._images_per_identity, self._size, self._seed)
        face = render_face(0, 0, self._size, self._seed)
        return hashlib.sha256(repr(options).encode() + face.tobytes()).hexdigest()

    def filename(self, index: int) -> str:
        identity, image = divmod(int(index), self._images_per_identity)
        return f"{identity:06d}/{image:04d}.jpg"

    def read(self, index: int) -> Record:
        return Record(self._images[index].numpy(), self.filename(index))

    def encoded(
        self, indices: np.ndarray, shuffle_seed: int | None = None, first: int = 0
    ) -> tf.data.Dataset:
        images = self._images
        dataset = ordered_indices(indices, shuffle_seed, first)
        return dataset.map(lambda index: (index, images[index]))

    @cached_property
    def _images(self) -> tf.Tensor:
        """The encoded images, string [num_images]."""
        numbers = np.arange(self.num_images) % self._images_per_identity
        pixels = render_faces(self.labels.tolist(), numbers.tolist(), self._size, self._seed)
        return tf.stack([tf.io.encode_jpeg(face, quality=_JPEG_QUALITY) for face in pixels])
