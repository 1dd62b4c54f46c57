"""Readers: the images of an epoch's batches, from a source, a stream of records or an array."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
import tensorflow as tf

from tfface.autotune import arrays
from tfface.data.pipeline.epoch_order import Order
from tfface.data.pipeline.transform import decoder
from tfface.data.sources.image_source import ImageSource


class Reader(ABC):
    """Reads the images of batches; `load` makes them from what `batches` gives.

    Reading is separate from loading, so that a pipeline loads, labels and augments a batch in one
    parallel step.

    Args:
        source: A source of `tfface.data.sources`.
        indices: int64 [num_images], distinct: the images to read.
    """

    def __init__(self, source: ImageSource, indices: np.ndarray):
        self.source, self.indices = source, np.asarray(indices, np.int64)

    @abstractmethod
    def batches(self, order: Order, epoch: int, first_step: int = 0) -> tf.data.Dataset:
        """Returns the shard's part of each batch, from batch `first_step` on.

        Args:
            order: Which images a batch has, and which of them are the shard's.
            epoch: From 0 on.
            first_step: The batches before it are left out.

        Returns:
            tf.data.Dataset of (indices int64 [rows], data [rows] for `load`).
        """

    @abstractmethod
    def load(self, data: tf.Tensor) -> tf.Tensor:
        """Returns the images of a batch: [rows, height, width, 3], or rows of the array.

        Args:
            data: What `batches` gives of a batch.
        """

    @abstractmethod
    def each_image(self, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields every image once, in any order: (positions int [n], images [n, ...]).

        Args:
            batch_size: Images at a time.
        """

    def batch_indices(self, order: Order, epoch: int, step: int) -> np.ndarray:
        """Returns the indices of the images of a whole batch: int64 [n].

        Args:
            order: As for `batches`.
            epoch: From 0 on.
            step: Of the epoch, from 0 on.
        """
        start = step * order.batch_size
        return self.indices[order.positions(epoch)[start : start + order.batch_size]]


class IndexedReader(Reader):
    """Reads images one by one, in the epoch's order, and decodes them in every epoch.

    Args:
        source, indices: As in `Reader`.
        image_size: (height, width) of the images.

    Example:
        >>> from tfface.data.pipeline.epoch_order import EpochOrder
        >>> from tfface.data.sources.synthetic import SyntheticSource
        >>> source = SyntheticSource(num_identities=2, images_per_identity=3, size=32)
        >>> reader = IndexedReader(source, np.arange(6), (32, 32))
        >>> order = EpochOrder(6, batch_size=3, seed=1)
        >>> indices, encoded = next(iter(reader.batches(order, epoch=0)))
        >>> reader.load(encoded).shape
        TensorShape([3, 32, 32, 3])
    """

    def __init__(self, source: ImageSource, indices: np.ndarray, image_size: tuple[int, int]):
        super().__init__(source, indices)
        self._decode = decoder(image_size)

    def batches(self, order: Order, epoch: int, first_step: int = 0) -> tf.data.Dataset:
        encoded = self.source.encoded(self.indices[order.shard_positions(epoch, first_step)])
        return encoded.batch(order.num_rows, order.last_batch == "drop")

    def load(self, data: tf.Tensor) -> tf.Tensor:
        return self._decode(data)

    def each_image(self, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        position = np.empty(self.source.num_images, np.int64)
        position[self.indices] = np.arange(len(self.indices))
        decoded = (
            self.source.encoded(self.indices)
            .batch(batch_size)
            .map(lambda indices, encoded: (indices, self.load(encoded)), tf.data.AUTOTUNE)
        )
        for indices, images in arrays(decoded.prefetch(2)):
            yield position[indices], images


class StreamedReader(IndexedReader):
    """Reads record files from front to back, through the source's shuffle buffer, and decodes."""

    def batches(self, order: Order, epoch: int, first_step: int = 0) -> tf.data.Dataset:
        encoded = self._encoded(order, epoch, first_step)
        if order.num_filling:
            encoded = encoded.concatenate(encoded.take(1).repeat(order.num_filling))
        batches = encoded.batch(order.batch_size, order.last_batch == "drop")
        if order.shard.count == 1:
            return batches
        return batches.map(lambda indices, encoded: (indices[order.rows], encoded[order.rows]))

    def batch_indices(self, order: Order, epoch: int, step: int) -> np.ndarray:
        batch = self._encoded(order, epoch, step).take(order.batch_size)
        return np.array([index for index, _ in arrays(batch)], np.int64)

    def _encoded(self, order: Order, epoch: int, first_step: int) -> tf.data.Dataset:
        key = order.key(epoch) if order.shuffle else None
        return self.source.encoded(self.indices, key, first_step * order.batch_size)


class ArrayReader(Reader):
    """Takes rows of an array in place of images: decoded images, or their features.

    Args:
        source, indices: As in `Reader`.
        make_array: Returns the array [num_images, ...], a row for each of `indices`; called once,
            when the first batch is asked for.

    Example:
        >>> from tfface.data.pipeline.epoch_order import EpochOrder
        >>> from tfface.data.sources.synthetic import SyntheticSource
        >>> source = SyntheticSource(num_identities=2, images_per_identity=3, size=32)
        >>> reader = ArrayReader(source, np.arange(6), lambda: np.zeros((6, 5), np.float32))
        >>> indices, rows = next(iter(reader.batches(EpochOrder(6, batch_size=3), epoch=0)))
        >>> reader.load(rows).shape
        TensorShape([3, 5])
    """

    def __init__(
        self, source: ImageSource, indices: np.ndarray, make_array: Callable[[], np.ndarray]
    ):
        super().__init__(source, indices)
        self._make_array = make_array

    @cached_property
    def _array(self) -> np.ndarray:
        # A plain array: a memmap would make a memmap of every batch.
        return np.asarray(self._make_array())

    def batches(self, order: Order, epoch: int, first_step: int = 0) -> tf.data.Dataset:
        # Before anything is iterated, so that errors of the cache are raised here.
        _ = self._array
        positions = order.shard_positions(epoch, first_step)
        rows = tf.data.Dataset.from_tensor_slices((self.indices[positions], positions))
        return rows.batch(order.num_rows, order.last_batch == "drop")

    def load(self, data: tf.Tensor) -> tf.Tensor:
        array = self._array
        rows = tf.numpy_function(lambda positions: array[positions], [data], array.dtype)
        return tf.ensure_shape(rows, (data.shape[0], *array.shape[1:]))

    def each_image(self, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(self.indices), batch_size):
            positions = np.arange(start, min(start + batch_size, len(self.indices)))
            yield positions, self._array[positions]
