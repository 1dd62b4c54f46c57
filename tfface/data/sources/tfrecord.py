"""TFRecord files: converted datasets, and files of other programs with images or their paths."""

import hashlib
import re
import time
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfface import seeding
from tfface.data.records import example, labels_file, manifest
from tfface.data.records.example import Record
from tfface.data.records.manifest import DATASET_FILE, Identity
from tfface.data.records.reader import READ_BUFFER, RecordFiles
from tfface.data.sources.image_files import ImageFiles, SafeRoot
from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError, warn
from tfface.progress import progress

# Records that are read and parsed together, which makes parsing cheap.
_BLOCK = 64
_FILES_AT_ONCE = 16
_SHUFFLE_BUFFER = 16_384
# Seconds after which it is worth a line that labels could be read from a file.
_LONG = 10.0


class DatasetSource(ImageSource):
    """A converted dataset folder; the index of an image is its position in the files.

    With a shuffle seed, files are read in a seeded order, 16 of them interleaved, through a seeded
    shuffle buffer of 16,384 encoded images. The conversion has shuffled the images over the files,
    so a batch is a random sample of all images.

    Args:
        path: the folder.
        name: replaces the source's name in `Identity.source`; it is prepended if the dataset has
            several sources.

    Raises:
        InputError: the folder is not a complete dataset, or a file is missing or has another size.

    Example:
        >>> import tempfile
        >>> from tfface.data.records.conversion import convert
        >>> faces = "{source: synthetic, num_identities: 2, images_per_identity: 3, size: 32}"
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = convert([faces], Path(folder, "faces"))
        ...     source = DatasetSource(Path(folder, "faces"))
        ...     source.num_images, source.num_identities, source.image_size
        (6, 2, (32, 32))
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
        self._folder, self._dataset = folder, dataset
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
        shards = self._dataset.shards
        return hashlib.sha256("".join(shard.sha256 for shard in shards).encode()).hexdigest()

    @cached_property
    def labels(self) -> np.ndarray:
        """From the dataset's file of labels; without it, found by reading all records once.

        Raises:
            InputError: a file is damaged, holds another number of records than dataset.json says,
                or a label that identities.csv does not list.
        """
        if self._dataset.labels is not None:
            return labels_file.read(self._folder, self._dataset)
        started = time.monotonic()
        labels = labels_file.of_records(self._folder, self._dataset)
        if (seconds := time.monotonic() - started) > _LONG:
            warn(
                f"{self._folder}: it took {seconds:.0f} s to find the labels in the records; to "
                f"keep them in a file: {labels_file.command(self._folder)}"
            )
        return labels

    def _attribute_values(self, name: str) -> np.ndarray:
        return self._records.attribute(name)

    def filename(self, index: int) -> str:
        return self.read(index).filename

    def read(self, index: int) -> Record:
        return self._records.read(index)[0]

    def encoded(
        self, indices: np.ndarray, shuffle_seed: int | None = None, first: int = 0
    ) -> tf.data.Dataset:
        """See `tfface.data.sources`; without a seed, the order is that of the files."""
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
    """Shuffles through a buffer, depending on `seed` alone.

    `Dataset.shuffle` also uses the global seed, so `tf.random.set_seed` elsewhere would change the
    batches; its operation uses the given seeds only.
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


# NAME.tfrecord, .tfrecords or .tfrec; or a part of several, such as train-00000-of-00012.
_RECORD_FILE = re.compile(
    r"(\.tfrec(ords?)?|-[0-9]{5}-of-[0-9]{5}(\.tfrec(ords?)?)?)(\.gz)?$", re.IGNORECASE
)


class BareTFRecordSource(ImageSource):
    """TFRecord files with encoded images, such as arcface-tf2 writes.

    The identities are the labels in the records, which may have gaps; their names are the labels.

    Args:
        path: a `.tfrecord` file, or a folder of them (or of `.tfrecords`, `.tfrec`, or parts such
            as `train-00000-of-00012`), which are sorted by name.
        name: the source's name in `Identity.source`; by default the stem of the path.
        files: the open files of `path`, if they have been opened already.

    Raises:
        InputError: there are no such files, one is damaged, or they have no or other records.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "faces.tfrecord")
        ...     with tf.io.TFRecordWriter(str(path)) as writer:
        ...         writer.write(example.serialize(Record(b"encoded image", "1.jpg"), label=7))
        ...     source = BareTFRecordSource(path)
        ...     source.identities[0].name, source.read(0).filename
        ('7', '1.jpg')
    """

    def __init__(self, path: Path, *, name: str | None = None, files: RecordFiles | None = None):
        self.name = name or Path(path).resolve().stem
        self._records = files or open_files(Path(path))
        self.record_files = tuple(self._records.files)
        labels = self._records.labels()
        self.identities, self.labels = _identities(labels, self.name)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the files' names, sizes and modification times."""
        stats = [(file.name, file.stat()) for file in self._records.files]
        content = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
        return hashlib.sha256(repr(content).encode()).hexdigest()

    def filename(self, index: int) -> str:
        return self.read(index).filename

    def read(self, index: int) -> Record:
        return self._records.read(index)[0]


class TFRecordPathsSource(ImageFiles):
    """TFRecord files with paths of images; otherwise as `BareTFRecordSource`.

    Args:
        path, name, files: as for `BareTFRecordSource`.
        image_root: folder of the images, which no path may leave; by default that of the record
            files.

    Raises:
        InputError: as `BareTFRecordSource`; or an image does not exist, or is outside of
            `image_root`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "1.jpg").write_bytes(b"encoded image")
        ...     record = tf.train.Example()
        ...     record.features.feature[example.PATH].bytes_list.value.append(b"1.jpg")
        ...     record.features.feature[example.LABEL].int64_list.value.append(7)
        ...     path = Path(folder, "faces.tfrecord")
        ...     with tf.io.TFRecordWriter(str(path)) as writer:
        ...         writer.write(record.SerializeToString())
        ...     source = TFRecordPathsSource(path)
        ...     source.identities[0].name, source.read(0).encoded
        ('7', b'encoded image')
    """

    def __init__(
        self,
        path: Path,
        image_root: Path | None = None,
        *,
        name: str | None = None,
        files: RecordFiles | None = None,
    ):
        path = Path(path)
        self.name = name or path.resolve().stem
        self._records = files or open_files(path)
        paths = self._records.paths()
        labels = self._records.labels(example.deserialize_path)
        self.identities, self.labels = _identities(labels, self.name)
        below = SafeRoot(image_root if image_root is not None else self._records.files[0].parent)
        found = []
        for index, given in enumerate(progress(paths, description="listing", unit="images")):
            try:
                found.append(below.find(given))
            except InputError as error:
                raise InputError(
                    f"{self._records.place(index)}: {error}: paths start at the option "
                    "'image_root', by default the folder of the record file"
                ) from None
        self._set_files(below.root, found)

    def read(self, index: int) -> Record:
        attributes = self._records.read_as(example.deserialize_path, index)[2]
        return Record(self._read_file(index), self.filename(index), attributes)


def open_files(path: Path) -> RecordFiles:
    """Opens a `.tfrecord` file, or all files of a folder, sorted by name.

    Args:
        path: the file or folder.

    Returns:
        The open files.

    Raises:
        InputError: there are no such files, one is damaged, or they have no records.
    """
    files = record_files_in(path) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise InputError(f"{path}: no .tfrecord file, nor a folder of them")
    opened = RecordFiles(files)
    if not opened.starts[-1]:
        raise InputError(f"{path}: holds no records")
    return opened


def record_files_in(folder: Path) -> list[Path]:
    """Returns the record files of a folder, sorted by name."""
    return sorted(
        path
        for path in folder.iterdir()
        if is_record_file(path) and not path.name.startswith(".") and not path.is_dir()
    )


def is_record_file(path: Path) -> bool:
    """Whether a file has the name of a TFRecord file, even a compressed one, refused later."""
    return _RECORD_FILE.search(path.name) is not None


def _identities(labels: np.ndarray, source: str) -> tuple[list[Identity], np.ndarray]:
    """Returns the identities of the labels in records, and contiguous labels, int32."""
    found, labels = np.unique(labels, return_inverse=True)
    return [Identity(str(label), source) for label in found], labels.astype(np.int32)


def open_tfrecord(
    path: Path, image_root: Path | None = None, *, name: str | None = None
) -> DatasetSource | BareTFRecordSource | TFRecordPathsSource:
    """A converted dataset, or `.tfrecord` files such as arcface-tf2 writes.

    Args:
        path: a folder with a dataset.json, one `.tfrecord` file, or a folder of them.
        image_root: for records with paths, the folder of the images, which no path may leave; by
            default that of the record files.
        name: the source's name in `Identity.source`.

    Raises:
        InputError: as the sources; or `image_root` is given, but the records contain images.
    """
    path = Path(path)
    if (path / DATASET_FILE).is_file():
        source = DatasetSource(path, name=name)
    else:
        files = open_files(path)
        if files.read_as(example.holds_path, 0):
            return TFRecordPathsSource(path, image_root, name=name, files=files)
        source = BareTFRecordSource(path, name=name, files=files)
    if image_root is not None:
        raise InputError(
            f"{path}: the option 'image_root' is given, but the records contain images"
        )
    return source


def holds_tfrecords(path: Path) -> bool:
    """Whether `path` is in the format of `open_tfrecord`."""
    if path.is_dir():
        return (path / DATASET_FILE).is_file() or bool(record_files_in(path))
    return is_record_file(path)
