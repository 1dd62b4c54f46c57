"""From a source to training batches: an order, a reader, labels and augmentation."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf

from tfface.autotune import untuned
from tfface.data.pipeline import cache as image_cache
from tfface.data.pipeline.epoch_order import Order
from tfface.data.pipeline.readers import ArrayReader, IndexedReader, Reader, StreamedReader
from tfface.data.pipeline.transform import BatchAugmentation
from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError
from tfface.images.validation import find_undecodable

# What reading or decoding may raise: a damaged image, a file that has gone or may not be read, a
# damaged record file. Others (no memory left, for one) say nothing about the images.
_DATA_ERRORS = (
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.FailedPreconditionError,
    tf.errors.DataLossError,
)


Labels: TypeAlias = tf.Tensor | dict[str, tf.Tensor]


class SeededImages(NamedTuple):
    """Images that are still to be augmented, with the seeds int32 [stages, 2] of the batch."""

    images: tf.Tensor
    seeds: tf.Tensor


class Batch(NamedTuple):
    """A batch, as `keras.Model.fit` takes it.

    Attributes:
        images: uint8 [batch, height, width, 3], RGB in 0..255. The pixels are never rescaled here:
            the model holds its own normalization. `SeededImages` before augmentation elsewhere.
        labels: int32 [batch]; after an augmentation that mixes identities, the dict that
            `tfface.data.augment` describes; with a teacher, a dict of `identities`, int32 [batch],
            and `teacher`, float32 [batch, embedding_size]: its embeddings of the images.

    Example:
        >>> batch = Batch(tf.zeros([4, 32, 32, 3], tf.uint8), tf.constant([0, 0, 1, 2]))
        >>> images, labels = batch
        >>> images.shape, labels.shape
        (TensorShape([4, 32, 32, 3]), TensorShape([4]))
    """

    images: tf.Tensor | SeededImages
    labels: Labels


class WeightedBatch(NamedTuple):
    """A batch with weights float32 [batch], which are 0 for images that only fill it.

    Example:
        >>> images, labels = tf.zeros([2, 4, 4, 3]), tf.constant([7, 7])
        >>> batch = WeightedBatch(images, labels, weights=tf.constant([2.0, 0.0]))
        >>> float(tf.reduce_mean(batch.weights))
        1.0
    """

    images: tf.Tensor
    labels: Labels
    weights: tf.Tensor


class Pipeline:
    """Makes the batches of epochs.

    What a batch holds is a function of (seed, epoch, step) and of the arguments; it does not depend
    on the number of CPU cores, on the program's global seed or on what was iterated before. In the
    last bit of a pixel, augmentation may differ between kinds of processors.

    Args:
        reader: Reads the images.
        order: Which image is at which position.
        labels: int [source.num_images], of all images of the reader's source.
        augmentation: Changes each batch; None for none.
        augments: False leaves the augmentation to the caller: images are then `SeededImages`.
        prefetch: Whether batches are made ahead of the consumer.
        teacher: The embeddings of a teacher, float32 [num_images, embedding_size], a row for each
            of the reader's indices; None for labels alone.

    Example:
        >>> from tfface.data.pipeline.epoch_order import EpochOrder
        >>> from tfface.data.sources import SOURCES
        >>> source = SOURCES["synthetic"](num_identities=3, images_per_identity=4, size=32)
        >>> order = EpochOrder(source.num_images, batch_size=4, seed=1)
        >>> pipeline = image_pipeline(
        ...     source, np.arange(source.num_images), order, image_size=(32, 32)
        ... )
        >>> pipeline.steps_per_epoch
        3
        >>> batch = next(iter(pipeline.epoch(0)))
        >>> batch.images.shape, batch.labels.shape
        (TensorShape([4, 32, 32, 3]), TensorShape([4]))
    """

    def __init__(
        self,
        reader: Reader,
        order: Order,
        labels: np.ndarray,
        augmentation: BatchAugmentation | None = None,
        *,
        augments: bool = True,
        prefetch: bool = True,
        teacher: np.ndarray | None = None,
    ):
        self.reader, self.order, self.augmentation = reader, order, augmentation
        self.prefetch = prefetch
        self._labels = tf.constant(labels, tf.int32)
        self._augments = augments
        self._teacher = teacher
        if teacher is not None:
            rows = np.zeros(reader.source.num_images, np.int64)
            rows[reader.indices] = np.arange(len(reader.indices))
            self._teacher_rows = tf.constant(rows)

    @property
    def num_images(self) -> int:
        return len(self.reader.indices)

    @property
    def batch_size(self) -> int:
        return self.order.batch_size

    @property
    def steps_per_epoch(self) -> int:
        return self.order.steps_per_epoch

    @property
    def is_augmented(self) -> bool:
        return self.augmentation is not None

    def epoch(self, epoch: int, first_step: int = 0) -> tf.data.Dataset:
        """Returns the batches of one epoch, from batch `first_step` on.

        An image that can't be read or decoded ends the iteration with an error of TensorFlow (with
        a cache: this call, with InputError); `naming_bad_images` then names the image.

        Args:
            epoch: From 0 on.
            first_step: The batches before it are left out, as when an epoch goes on.

        Returns:
            tf.data.Dataset of Batch, or WeightedBatch if the order fills the last batch.
        """
        num_steps, per_step = self.steps_per_epoch, {}
        if self.augmentation is not None:
            per_step["seeds"] = self.augmentation.seeds(epoch, num_steps)[first_step:]
        if self.order.last_batch == "fill":
            per_step["weights"] = self.order.weights()[first_step:]
        read = self.reader.batches(self.order, epoch, first_step)
        make: Callable = self._make_plain_batch
        if per_step:
            read = tf.data.Dataset.zip(read, tf.data.Dataset.from_tensor_slices(per_step))
            make = self._make_batch
        # Plain TensorFlow: converting it would take longer than tracing it.
        make = tf.autograph.experimental.do_not_convert(make)
        batches = read.map(make, tf.data.AUTOTUNE, deterministic=True)
        batches = batches.apply(
            tf.data.experimental.assert_cardinality(max(num_steps - first_step, 0))
        )
        # tf.distribute would look for files to deal out to processes, and warn that it can't.
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        batches = untuned(batches.with_options(options))
        return batches.prefetch(2) if self.prefetch else batches

    def _make_plain_batch(self, indices: tf.Tensor, data: tf.Tensor) -> Batch:
        """Makes a batch from the indices and data that the reader read."""
        labels = self._with_teacher(indices, tf.gather(self._labels, indices))
        return Batch(self.reader.load(data), labels)

    def _with_teacher(self, indices: tf.Tensor, labels: tf.Tensor) -> Labels:
        """Returns the labels of a batch with the teacher's embeddings, if there is one."""
        if self._teacher is None:
            return labels
        teacher = self._teacher
        # Not a tensor, which would be a copy of all rows, and on a GPU.
        embeddings = tf.numpy_function(
            lambda rows: teacher[rows], [tf.gather(self._teacher_rows, indices)], teacher.dtype
        )
        embeddings = tf.ensure_shape(embeddings, (indices.shape[0], teacher.shape[1]))
        return {"identities": labels, "teacher": embeddings}

    def _make_batch(
        self, read: tuple[tf.Tensor, tf.Tensor], per_step: dict[str, tf.Tensor]
    ) -> Batch | WeightedBatch:
        """Makes a batch from what the reader read, and from its seeds or weights or both."""
        indices, data = read
        images, labels = self.reader.load(data), tf.gather(self._labels, indices)
        if self.augmentation is not None:
            if self._augments:
                images, labels = self.augmentation(images, labels, per_step["seeds"])
            else:
                images = SeededImages(images, per_step["seeds"])
        labels = self._with_teacher(indices, labels)
        if "weights" in per_step:
            return WeightedBatch(images, labels, per_step["weights"])
        return Batch(images, labels)

    def file_names(self, epoch: int, step: int) -> list[str]:
        """Returns the names of the images in the whole batch `step` of an epoch.

        Args:
            epoch: From 0 on.
            step: Of the epoch, from 0 on.
        """
        indices = self.reader.batch_indices(self.order, epoch, step)
        return [self.reader.source.filename(index) for index in indices]

    def each_image(self, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields every image once, not augmented, in any order.

        Args:
            batch_size: Images at a time.

        Yields:
            int [n] positions in the reader's indices, and the images [n, ...].
        """
        return self.reader.each_image(batch_size)

    def with_features(self, features: np.ndarray) -> "Pipeline":
        """Returns the same batches, not augmented, with features in place of the images.

        Args:
            features: [num_images, ...], a row for each of the reader's indices.
        """
        reader = ArrayReader(self.reader.source, self.reader.indices, lambda: features)
        return Pipeline(
            reader, self.order, self._labels, prefetch=self.prefetch, teacher=self._teacher
        )

    def with_teacher(self, embeddings: np.ndarray) -> "Pipeline":
        """Returns the same batches, with the embeddings of a teacher in the labels.

        Args:
            embeddings: float32 [num_images, embedding_size], a row for each of the reader's
                indices.

        Raises:
            InputError: An augmentation mixes images, and the teacher has embedded each alone.
        """
        if self.augmentation is not None and self.augmentation.mixes_images:
            raise InputError(
                "training.distillation: data.augment mixes images, and the teacher has embedded "
                "each alone: leave mixup and cutmix out"
            )
        return Pipeline(
            self.reader,
            self.order,
            self._labels,
            self.augmentation,
            augments=self._augments,
            prefetch=self.prefetch,
            teacher=embeddings,
        )

    def split_augmentation(self) -> tuple["Pipeline", BatchAugmentation]:
        """Separates augmentation from loading, for a pipeline with augmentation.

        Returns:
            A pipeline of batches ((images, seeds), labels), and the function of (images, labels,
            seeds) that augments them.

        Raises:
            InputError: XLA, which compiles training steps on a GPU, can't compile a stage.
        """
        if self.augmentation is None:
            raise ValueError("The pipeline has no augmentation.")
        if not self.augmentation.uses_xla:
            raise InputError(
                "data.augment_on: device compiles the augmentation with the training step, and "
                "layers of keras_layer can't be compiled: use data.augment_on: host"
            )
        loading = Pipeline(
            self.reader,
            self.order,
            self._labels,
            self.augmentation,
            augments=False,
            prefetch=self.prefetch,
            teacher=self._teacher,
        )
        return loading, self.augmentation

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
        return find_undecodable(self.reader.source, self.reader.indices)


def image_pipeline(
    source: ImageSource,
    indices: np.ndarray,
    order: Order,
    *,
    image_size: tuple[int, int],
    labels: np.ndarray | None = None,
    augment: Sequence = (),
    cache: Literal["none", "memory", "disk"] = "none",
    cache_dir: Path | None = None,
) -> Pipeline:
    """Makes a pipeline of images.

    Folder and synthetic sources are shuffled perfectly, and alike whether cached or not. Record
    files are when they are cached; else they are read from front to back through the shuffle buffer
    that `DatasetSource` describes, and in file order where the order does not shuffle.

    Cached images are decoded once, when the first epoch is made. Augmentation works on whole
    batches in float32; its result is rounded.

    Where all images are known to have one size, and a random crop from a larger one is the first
    augmentation, they are decoded (and cached) at their own size, and the crop enlarges the part
    that it keeps. Otherwise they are enlarged when they are decoded, which rounds a few pixels
    differently.

    Args:
        source: A source of `tfface.data.sources`.
        indices: int [num_images], distinct: the images to use.
        order: Their order; it has their number, and the seed and shard of the pipeline.
        image_size: (height, width) of the result.
        labels: int [source.num_images], by default the source's.
        augment: Instances of `tfface.data.augment`, in the order in which they are applied.
        cache: `none` decodes in every epoch; `memory` keeps the decoded images in memory; `disk`
            in a file in `cache_dir`, which the next run uses again.
        cache_dir: Folder for `disk`.

    Returns:
        Pipeline.

    Raises:
        InputError: The stages can't be combined; `disk` without `cache_dir`; PK sampling of record
            files that are not cached; and when the first epoch is made, the errors of the cache.
    """
    indices = np.asarray(indices, np.int64)
    if order.needs_positions and cache == "none" and source.is_stream:
        raise InputError(
            "samples_per_identity needs images in any order, and record files are read from "
            "front to back: use cache: memory or cache: disk"
        )
    augmentation = BatchAugmentation(
        augment, image_size, known_size=source.image_size, seed=order.seed, shard=order.shard
    )
    size = augmentation.load_size
    if cache == "memory":
        load = partial(image_cache.decode_into_memory, source, indices, size)
        reader: Reader = ArrayReader(source, indices, load)
    elif cache == "disk":
        if cache_dir is None:
            raise InputError("cache: disk needs a cache folder")
        load = partial(image_cache.decode_into_file, source, indices, size, cache_dir)
        reader = ArrayReader(source, indices, load)
    elif source.is_stream:
        reader = StreamedReader(source, indices, size)
    else:
        reader = IndexedReader(source, indices, size)
    labels = source.labels if labels is None else labels
    return Pipeline(reader, order, labels, augmentation if augmentation.stages else None)
