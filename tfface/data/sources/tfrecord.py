"""A converted dataset: record files, read as a stream."""

import hashlib
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfface.data import dataset_folder, records, seeding
from tfface.data.records import Record
from tfface.errors import InputError
from tfface.progress import progress

# Read together and parsed together: the batch that makes parsing cheap.
_BLOCK = 64
_FILES_AT_ONCE = 16
_SHUFFLE_BUFFER = 16_384


class TFRecordSource:
    """The folder that tools/convert_tfrecord.py writes; an image's index is its place in the files.

    Shuffling takes the files in a seeded order, reads 16 of them in turns and draws from a seeded
    buffer of 16,384 encoded images. The converter has shuffled the images over the files, so a
    batch is a fair sample of the whole.

    Args:
        path: the folder.
    Raises InputError: not a finished dataset, or a file of it is missing or has another size.
    """

    def __init__(self, path: Path):
        self._folder = Path(path)
        dataset = dataset_folder.read(self._folder)
        self.name = self._folder.resolve().name
        self.identities = dataset.identities
        self._shards = dataset.shards
        self._files = [self._folder / shard.file for shard in dataset.shards]
        self._starts = np.cumsum([0] + [shard.records for shard in dataset.shards])

    @property
    def num_images(self) -> int:
        return int(self._starts[-1])

    @property
    def num_identities(self) -> int:
        return len(self.identities)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the shards' hashes."""
        return hashlib.sha256("".join(shard.sha256 for shard in self._shards).encode()).hexdigest()

    @cached_property
    def labels(self) -> np.ndarray:
        """Found by reading all records once.

        Raises InputError: a file is damaged, holds another number of records than dataset.json
            says, or a label that identities.csv does not list.
        """
        labels = np.empty(self.num_images, np.int32)
        with progress(total=self.num_images, description="reading labels", unit="images") as bar:
            for file, start, stop in zip(self._files, self._starts, self._starts[1:], strict=False):
                labels[start:stop] = self._labels_of(file, int(stop - start))
                bar.update(int(stop - start))
        return labels

    def filename(self, index: int) -> str:
        return self.read(index).filename

    def read(self, index: int) -> Record:
        shard = int(np.searchsorted(self._starts, index, side="right")) - 1
        offsets = self._offsets(shard)
        place = index - int(self._starts[shard])
        return records.read_record(self._files[shard], *offsets[place : place + 2].tolist())[0]

    def encoded(
        self, indices: np.ndarray, shuffle_seed: int | None = None, first: int = 0
    ) -> tf.data.Dataset:
        """As in `tfface.data.sources`, but without a seed the order is that of the files."""
        wanted = np.zeros(self.num_images, bool)
        wanted[indices] = True
        mask = None if wanted.all() else tf.constant(wanted)
        files = tf.constant([str(file) for file in self._files])
        starts = tf.constant(self._starts[:-1])

        def read_file(shard: tf.Tensor) -> tf.data.Dataset:
            blocks = tf.data.TFRecordDataset(files[shard], buffer_size=1 << 20).batch(_BLOCK)
            return blocks.enumerate().map(lambda number, block: parse(shard, number, block))

        def parse(shard, number, block) -> tuple[tf.Tensor, tf.Tensor]:
            place = starts[shard] + number * _BLOCK + tf.range(tf.size(block, tf.int64))
            if mask is not None:
                chosen = tf.gather(mask, place)
                place, block = tf.boolean_mask(place, chosen), tf.boolean_mask(block, chosen)
            return place, records.parse_encoded(block)

        if shuffle_seed is None:
            shards = tf.data.Dataset.range(len(self._files))
            return shards.flat_map(read_file).unbatch().skip(first)
        order = seeding.permutation(seeding.fold(shuffle_seed, 0), len(self._files))
        blocks = tf.data.Dataset.from_tensor_slices(order).interleave(
            read_file,
            cycle_length=_FILES_AT_ONCE,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return _shuffled(blocks.unbatch(), seeding.fold(shuffle_seed, 1)).skip(first)

    def _labels_of(self, file: Path, num_records: int) -> np.ndarray:
        dataset = tf.data.TFRecordDataset(str(file), buffer_size=1 << 20).batch(1024)
        try:
            parts = list(dataset.map(records.parse_labels).as_numpy_iterator())
        except tf.errors.OpError as error:
            raise InputError(f"{file}: can't be read: {error.message}") from error
        labels = np.concatenate([np.empty(0, np.int64), *parts])
        if len(labels) != num_records:
            raise InputError(
                f"{file}: {len(labels)} records, but {dataset_folder.DATASET_FILE} says "
                f"{num_records}"
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < self.num_identities:
            raise InputError(
                f"{file}: labels {labels.min()}..{labels.max()}, but "
                f"{dataset_folder.IDENTITIES_FILE} lists {self.num_identities} identities"
            )
        return labels

    def _offsets(self, shard: int) -> np.ndarray:
        if shard not in self._known_offsets:
            self._known_offsets[shard] = records.record_offsets(self._files[shard])
        return self._known_offsets[shard]

    @cached_property
    def _known_offsets(self) -> dict[int, np.ndarray]:
        return {}


def _shuffled(dataset: tf.data.Dataset, seed: int) -> tf.data.Dataset:
    """Shuffles through a buffer, by `seed` alone.

    `Dataset.shuffle` mixes in the program's global seed, so that `tf.random.set_seed` somewhere
    else would change the batches; its operation takes the seeds as they are.
    """
    spec = dataset.element_spec
    shuffled = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(dataset),
        buffer_size=tf.constant(_SHUFFLE_BUFFER, tf.int64),
        seed=tf.constant(seed >> 33, tf.int64),
        seed2=tf.constant(seed & 0x7FFFFFFF, tf.int64),
        output_types=[part.dtype for part in spec],
        output_shapes=[part.shape for part in spec],
        reshuffle_each_iteration=False,
    )
    return tf.data.experimental.from_variant(shuffled, spec)
