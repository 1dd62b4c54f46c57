"""From a source to training batches."""

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow as tf

from tfface import seeding
from tfface.autotune import arrays, untuned
from tfface.data.pipeline import cache as image_cache
from tfface.data.pipeline.batch_augmentation import BatchAugmentation
from tfface.data.pipeline.batch_sharding import FULL_BATCH, BatchShard
from tfface.data.pipeline.pk_sampling import draw_identity_batches
from tfface.errors import InputError
from tfface.images.decoding import decode_all
from tfface.images.validation import find_undecodable

_log = logging.getLogger(__name__)

# What reading or decoding may raise: a damaged image, a file that has gone or may not be read, a
# damaged record file. Others (no memory left, for one) say nothing about the images.
_DATA_ERRORS = (
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.FailedPreconditionError,
    tf.errors.DataLossError,
)


class Pipeline:
    """Batches of (images uint8 [batch, height, width, 3] RGB 0..255, labels int32 [batch]).

    After an augmentation that mixes identities, the labels are a dict, as `tfface.data.augment` and
    `Recognizer` have it.

    The pixels are never rescaled here: the model holds its own normalisation.

    What a batch holds is a function of (seed, epoch, position in the epoch) and of the arguments;
    it does not depend on the number of CPU cores, on the program's global seed or on what was
    iterated before. Folder and synthetic sources are shuffled perfectly, and alike whether cached
    or not; record files are when cached, and else go through the shuffle buffer that
    `DatasetSource` describes. In the last bit of a pixel, augmentation may differ between kinds of
    processors.

    Where all images are known to have one size, and a random crop from a larger one comes first,
    they are decoded (and cached) at their own size, and the crop enlarges what it keeps. Where it
    isn't known they are enlarged when they are decoded, which in few pixels rounds otherwise.

    Cached images are decoded once, when the first epoch is made, and then fetched a batch at a
    time. Augmentation works on whole batches in float32, compiled by XLA; its result is rounded.

    Args:
        source: as in `tfface.data.sources`.
        indices: int [num_images], distinct: the images to use.
        image_size: (height, width) of the result.
        batch_size: > 0; with fewer images than that, all of them are one batch.
        augment: stages as in `tfface.data.augment`, in the order in which they are applied.
        cache: "none" decodes in every epoch; "memory" keeps the decoded images in memory; "disk"
            in a file under `cache_dir`, which the next run uses again.
        cache_dir: folder for "disk".
        labels: int [source.num_images], when they are to be others than the source's.
        images_per_identity: how many images of each of its identities a batch holds, as
            `identity_batches` describes; None takes images as they come. With fewer identities than
            a batch wants, it holds all of them.
        seed: int >= 0.
        shuffle: False gives the images in the order of `indices` (record files: in file order,
            unless cached).
        drop_remainder: leave out the last, smaller batch of an epoch.
        fill: fill the last batch with images that were in one before, and give a third part:
            weights float32 [batch], 0 for these and above 0 for all others, with a mean of 1 over
            the epoch. For `drop_remainder` False.
        part: the rows of each batch to make, with the very images and draws that they have in the
            whole batch. Of other rows nothing is decoded; record files that aren't cached are read
            in full nevertheless.
    Attributes:
        prefetch: whether batches are made ready ahead of who takes them; True unless set otherwise,
            as to measure what it gains.
    Raises InputError: no images; stages that don't go together; "disk" without `cache_dir`;
        `images_per_identity` that doesn't divide `batch_size`, or with record files that are not
        cached; a batch that can't be divided, or stages that make one image of several, for one
        part of several; and when the first epoch is made, what the cache raises.
    """

    def __init__(
        self,
        source,
        indices: np.ndarray,
        *,
        image_size: tuple[int, int],
        batch_size: int,
        augment=(),
        cache: Literal["none", "memory", "disk"] = "none",
        cache_dir: Path | None = None,
        labels: np.ndarray | None = None,
        images_per_identity: int | None = None,
        seed: int = 0,
        shuffle: bool = True,
        drop_remainder: bool = True,
        fill: bool = False,
        part: BatchShard = FULL_BATCH,
    ):
        self._source = source
        self._indices = np.asarray(indices, np.int64)
        if not len(self._indices):
            raise InputError("there are no images to make batches of")
        if cache == "disk" and cache_dir is None:
            raise InputError("cache: disk needs a cache folder")
        self._augmentation = BatchAugmentation(
            augment, image_size, known_size=source.image_size, seed=seed, part=part
        )
        self._augments = True
        self._cache = cache
        self._cache_dir = cache_dir
        self._seed = seed
        self._shuffle = shuffle
        self._drop_remainder = drop_remainder
        self._fill = fill
        self._part = part
        labels = source.labels if labels is None else labels
        self._labels = tf.constant(labels, tf.int32)
        self._images_per_identity = images_per_identity
        if images_per_identity is not None:
            self._identities = np.asarray(labels)[self._indices]
            self._check_images_per_identity(batch_size)
            self.batch_size = self._batch_of_identities(batch_size)
        else:
            self.batch_size = self._batch_of_images(batch_size)
        self.prefetch = True
        self._rows = part.rows(self.batch_size)
        self._num_rows = self._rows.stop - self._rows.start
        self._pixels: np.ndarray | None = None
        # Made once: new functions would be traced and compiled anew in every epoch.
        self._decode = tf.function(
            lambda encoded: decode_all(encoded, *self._augmentation.load_size), autograph=False
        )

    @property
    def num_images(self) -> int:
        return len(self._indices)

    @property
    def steps_per_epoch(self) -> int:
        whole, rest = divmod(self.num_images, self.batch_size)
        if self._images_per_identity is not None:
            return max(whole, 1)
        return whole + (rest > 0 and not self._drop_remainder)

    @property
    def is_augmented(self) -> bool:
        return bool(self._augmentation.stages)

    def epoch(self, epoch: int, first_step: int = 0) -> tf.data.Dataset:
        """Returns the batches of one epoch, from batch `first_step` on.

        An image that can't be read or decoded ends the iteration with an error of TensorFlow (when
        cached: this call with InputError); `naming_bad_images` then tells which it is.
        """
        batches = self._batches(epoch, first_step * self.batch_size)
        if self.is_augmented:
            seeds = self._augmentation.seeds(epoch, self.steps_per_epoch)[first_step:]
            seeds = tf.data.Dataset.from_tensor_slices(seeds)
            make = self._augmentation if self._augments else _not_yet_augmented
            batches = tf.data.Dataset.zip(batches, seeds).map(
                lambda batch, seeds: make(*batch, seeds), tf.data.AUTOTUNE, deterministic=True
            )
        if self._fill:
            weights = tf.data.Dataset.from_tensor_slices(self._weights()[first_step:])
            batches = tf.data.Dataset.zip(batches, weights).map(
                lambda batch, weights: (*batch, weights)
            )
        batches = batches.apply(
            tf.data.experimental.assert_cardinality(max(self.steps_per_epoch - first_step, 0))
        )
        # tf.distribute would look for files to deal out to processes, and warn that it can't.
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        batches = untuned(batches.with_options(options))
        return batches.prefetch(2) if self.prefetch else batches

    def file_names(self, epoch: int, step: int) -> list[str]:
        """Returns which images the whole batch at place `step` of an epoch holds."""
        first = step * self.batch_size
        if self._is_streamed:
            stream = self._stream(epoch, first).take(self.batch_size)
            indices = [int(index) for index, _ in arrays(stream)]
        else:
            indices = self._indices[self._places(epoch)[first : first + self.batch_size]]
        return [self._source.filename(index) for index in indices]

    def each_image(self, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields every image once, as it is before augmentation, in any order.

        Yields: int [batch] places in `indices`, uint8 [batch, height, width, 3] images.
        """
        if self._cache != "none":
            pixels = self._decoded_once()
            for start in range(0, self.num_images, batch_size):
                places = np.arange(start, min(start + batch_size, self.num_images))
                yield places, pixels[places]
            return
        place = np.empty(self._source.num_images, np.int64)
        place[self._indices] = np.arange(self.num_images)
        batches = self._decoded(self._source.encoded(self._indices).batch(batch_size))
        for indices, images in arrays(batches.prefetch(2)):
            yield place[indices], images

    def holding(self, features: np.ndarray) -> "Pipeline":
        """Returns the same batches with other arrays in place of the images, not augmented.

        Args:
            features: any [num_images, ...]; a row for each of `indices`.
        """
        other = copy.copy(self)
        other._pixels, other._cache = features, "memory"
        other._augmentation = BatchAugmentation((), self._augmentation.image_size)
        return other

    def augmented_later(self) -> tuple["Pipeline", BatchAugmentation]:
        """Returns the same batches as ((images, seeds), labels), and what makes of these three the
        batches of now; for pipelines with augmentation and without `fill`.
        """
        other = copy.copy(self)
        other._augments = False
        return other, self._augmentation

    @contextmanager
    def naming_bad_images(self) -> Iterator[None]:
        """Turns an error of reading or decoding in the block into an InputError with the file."""
        try:
            yield
        except _DATA_ERRORS as error:
            bad = self.find_undecodable()
            if not bad:
                raise
            more = f" ({len(bad)} images in all)" if len(bad) > 1 else ""
            raise InputError(f"{bad[0][0]}: {bad[0][1]}{more}") from error

    def find_undecodable(self) -> list[tuple[str, str]]:
        """Decodes every image once and returns (file name, reason) of those that fail."""
        return find_undecodable(self._source, self._indices)

    def _batches(self, epoch: int, first: int) -> tf.data.Dataset:
        """(images, labels) a batch, from the image at place `first` of the epoch on."""
        if self._is_streamed:
            return self._labelled(self._decoded_stream(epoch, first))
        places = self._of_part(self._places(epoch)[first:])
        if self._cache == "none":
            encoded = self._source.encoded(self._indices[places])
            batches = encoded.batch(self._num_rows, self._drop_remainder)
            return self._labelled(self._decoded(batches))
        return self._fetched(places)

    @property
    def _is_streamed(self) -> bool:
        """Whether images come from front to back through a buffer, not by their places."""
        return (
            self._images_per_identity is None and self._cache == "none" and self._source.is_stream
        )

    def _order_key(self, epoch: int) -> int:
        return seeding.fold(self._seed, epoch, seeding.ORDER)

    def _places(self, epoch: int) -> np.ndarray:
        """Returns the places in `indices` of an epoch's images, in their order."""
        if self._images_per_identity is not None:
            return draw_identity_batches(
                self._identities,
                self.batch_size // self._images_per_identity,
                self._images_per_identity,
                self.steps_per_epoch,
                self._order_key(epoch),
            )
        if self._shuffle:
            return seeding.permutation(self._order_key(epoch), self.num_images)
        return np.arange(self.num_images)

    def _of_part(self, places: np.ndarray) -> np.ndarray:
        """Returns which of an epoch's images, from the begin of a batch on, are made here."""
        if self._fill:
            places = np.resize(places, len(places) + self._missing)
        if self._part.count == 1:
            return places
        whole = len(places) - len(places) % self.batch_size
        return places[:whole].reshape(-1, self.batch_size)[:, self._rows].ravel()

    def _stream(self, epoch: int, first: int) -> tf.data.Dataset:
        """(index, encoded) of each image of a source that is read from front to back."""
        key = self._order_key(epoch) if self._shuffle else None
        return self._source.encoded(self._indices, key, first)

    def _decoded_stream(self, epoch: int, first: int) -> tf.data.Dataset:
        """(indices, images) a batch of such a source, decoded now."""
        encoded = self._stream(epoch, first)
        if self._fill:
            encoded = encoded.concatenate(encoded.take(1).repeat(self._missing))
        batches = encoded.batch(self.batch_size, self._drop_remainder)
        if self._part.count > 1:
            rows = self._rows
            batches = batches.map(lambda indices, encoded: (indices[rows], encoded[rows]))
        return self._decoded(batches)

    @property
    def _missing(self) -> int:
        """How many images fill the last batch."""
        return -self.num_images % self.batch_size

    def _weights(self) -> np.ndarray:
        """Returns what each image of an epoch counts: float32 [steps, rows of the part]."""
        number = self.num_images + self._missing
        weights = np.zeros(number, np.float32)
        weights[: self.num_images] = number / self.num_images
        return weights.reshape(-1, self.batch_size)[:, self._rows]

    def _decoded(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """(indices, images) of (indices, encoded) a batch, decoded now."""
        return batches.map(
            lambda indices, encoded: (indices, self._decode(encoded)),
            tf.data.AUTOTUNE,
            deterministic=True,
        )

    def _labelled(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """(images, labels) of (indices, images) a batch."""
        labels = self._labels
        return batches.map(lambda indices, images: (images, tf.gather(labels, indices)))

    def _fetched(self, places: np.ndarray) -> tf.data.Dataset:
        """(images, labels) a batch, out of the decoded images."""
        pixels = self._decoded_once()

        def fetch(places: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            images = tf.numpy_function(lambda wanted: pixels[wanted], [places], pixels.dtype)
            return tf.ensure_shape(images, (places.shape[0], *pixels.shape[1:])), labels

        labels = self._labels.numpy()[self._indices[places]]
        return (
            tf.data.Dataset.from_tensor_slices((places, labels))
            .batch(self._num_rows, self._drop_remainder)
            .map(fetch, tf.data.AUTOTUNE, deterministic=True)
        )

    def _decoded_once(self) -> np.ndarray:
        if self._pixels is None:
            if self._cache == "memory":
                self._pixels = image_cache.decode_into_memory(
                    self._source, self._indices, self._augmentation.load_size
                )
            else:
                # A plain array: a memmap would make a memmap of every batch.
                self._pixels = np.asarray(
                    image_cache.decode_into_file(
                        self._source, self._indices, self._augmentation.load_size, self._cache_dir
                    )
                )
        return self._pixels

    def _batch_of_images(self, batch_size: int) -> int:
        if self._fill:
            return batch_size
        # Where the last batch may be smaller, it is a batch like any other.
        if batch_size > self.num_images and self._drop_remainder:
            _log.warning(
                "batch_size %d is more than the %d images there are: a batch holds all of them",
                batch_size,
                self.num_images,
            )
        return min(batch_size, self.num_images)

    def _batch_of_identities(self, batch_size: int) -> int:
        wanted, num_identities = (
            batch_size // self._images_per_identity,
            len(np.unique(self._identities)),
        )
        if wanted > num_identities:
            _log.warning(
                "batch_size %d wants %d identities, more than the %d there are: a batch holds all "
                "of them",
                batch_size,
                wanted,
                num_identities,
            )
        return min(wanted, num_identities) * self._images_per_identity

    def _check_images_per_identity(self, batch_size: int) -> None:
        if batch_size % self._images_per_identity:
            raise InputError(
                f"batch_size {batch_size} can't be divided by images_per_identity "
                f"{self._images_per_identity}"
            )
        if self._cache == "none" and self._source.is_stream:
            raise InputError(
                "images_per_identity needs images in any order, and record files are read from "
                "front to back: use cache: memory or cache: disk"
            )


def _not_yet_augmented(images: tf.Tensor, labels: tf.Tensor, seeds: tf.Tensor) -> tuple:
    return (images, seeds), labels
