"""A converted dataset: record files, read as a stream."""

import hashlib
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfface import seeding
from tfface.data.records import example, manifest
from tfface.data.records.example import Record
from tfface.data.records.manifest import Identity
from tfface.data.records.reader import READ_BUFFER, RecordFiles
from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError

# Read together and parsed together: the batch that makes parsing cheap.
_BLOCK = 64
_FILES_AT_ONCE = 16
_SHUFFLE_BUFFER = 16_384


class DatasetSource(ImageSource):
    """The folder that tools/convert_tfrecord.py writes; an image's index is its place in the files.

    Shuffling takes the files in a seeded order, reads 16 of them in turns and draws from a seeded
    buffer of 16,384 encoded images. The converter has shuffled the images over the files, so a
    batch is a fair sample of the whole.

    Args:
        path: the folder.
        name: what to call this source, when it is converted again, in `Identity.source`: in place
            of the name found there, or before it when the folder was made from several sources.
    Raises InputError: not a finished dataset, or a file of it is missing or has another size.
    """

    is_stream = True

    def __init__(self, path: Path, *, name: str | None = None):
        folder = Path(path)
        dataset = manifest.read(folder)
        self.name = name or folder.resolve().name
        self.identities = dataset.identities
        if name is not None:
            several = len({identity.source for identity in dataset.identities}) > 1
            self.identities = [
                Identity(identity.name, f"{name}/{identity.source}" if several else name)
                for identity in dataset.identities
            ]
        self.attribute_names = dataset.attributes
        self.image_size = dataset.image_size
        self._shards = dataset.shards
        self._records = RecordFiles(
            [folder / shard.file for shard in dataset.shards],
            [shard.records for shard in dataset.shards],
        )
        self.record_files = tuple(self._records.files)

    @property
    def num_images(self) -> int:
        # Known before the labels are.
        return int(self._records.starts[-1])

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
        labels = self._records.labels()
        if not 0 <= labels.min() <= labels.max() < self.num_identities:
            raise InputError(
                f"{self._records.files[0].parent}: the records' labels are {labels.min()}.."
                f"{labels.max()}, but {self.num_identities} identities are listed"
            )
        return labels.astype(np.int32)

    def _attribute_values(self, name: str) -> np.ndarray:
        return self._records.attribute(name)

    def filename(self, index: int) -> str:
        return self.read(index).filename

    def read(self, index: int) -> Record:
        return self._records.read(index)[0]

    def encoded(
        self, indices: np.ndarray, shuffle_seed: int | None = None, first: int = 0
    ) -> tf.data.Dataset:
        """As in `tfface.data.sources`, but without a seed the order is that of the files."""
        wanted = np.zeros(self.num_images, bool)
        wanted[indices] = True
        mask = None if wanted.all() else tf.constant(wanted)
        files = tf.constant([str(file) for file in self._records.files])
        starts = tf.constant(self._records.starts[:-1])

        def read_file(number: tf.Tensor) -> tf.data.Dataset:
            blocks = tf.data.TFRecordDataset(files[number], buffer_size=READ_BUFFER).batch(_BLOCK)
            return blocks.enumerate().map(
                lambda block_number, block: parse(starts[number] + block_number * _BLOCK, block)
            )

        def parse(start: tf.Tensor, block: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            indices = start + tf.range(tf.size(block, tf.int64))
            if mask is not None:
                chosen = tf.gather(mask, indices)
                indices, block = tf.boolean_mask(indices, chosen), tf.boolean_mask(block, chosen)
            return indices, example.parse_encoded(block)

        if shuffle_seed is None:
            numbers = tf.data.Dataset.range(len(files))
            return numbers.flat_map(read_file).unbatch().skip(first)
        order = seeding.permutation(seeding.fold(shuffle_seed, 0), len(files))
        blocks = tf.data.Dataset.from_tensor_slices(order).interleave(
            read_file,
            cycle_length=_FILES_AT_ONCE,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return _shuffled(blocks.unbatch(), seeding.fold(shuffle_seed, 1)).skip(first)


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
