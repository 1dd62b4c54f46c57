"""TensorFlow Datasets: by name, or from folders that it prepared or can read."""

import contextlib
import hashlib
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

from tfface import seeding
from tfface.data.records.example import Record, attribute_features
from tfface.data.records.manifest import Identity
from tfface.data.records.reader import RecordFiles
from tfface.data.sources.folder import FolderSource
from tfface.data.sources.image_source import ImageSource
from tfface.errors import InputError, did_you_mean
from tfface.paths import expanded
from tfface.progress import progress

# tensorflow_datasets itself is imported where it is needed: it is slow to import.

_INFO_FILE = "dataset_info.json"
# name, name/config, name:1.0.0, name/config:1.0.0
_NAME = re.compile(r"\w+(/[\w.+-]+)?(:[\d.*]+)?")


def is_prepared_by_tfds(path: Path) -> bool:
    """Whether `path` is the folder of a dataset that TensorFlow Datasets prepared."""
    return (path / _INFO_FILE).is_file()


def open_tfds(
    dataset: str,
    split: str = "train",
    image: str | None = None,
    label: str | None = None,
    data_dir: Path | None = None,
    *,
    name: str | None = None,
    paths_start: Path | None = None,
) -> "TfdsSource | TfdsImageFolder":
    """A local dataset of TensorFlow Datasets; nothing is downloaded.

    Args:
        dataset: a registered name, such as `lfw` or `name/config:1.0.0`; or the path of a folder
            that TensorFlow Datasets prepared, with a dataset_info.json; or that of a folder with
            images at `SPLIT/LABEL/*.jpg`.
        split: name of a split, or a slice, such as `train[:50%]`.
        image, label: names of features; by default the only ones that can be it.
        data_dir: where the dataset of a name has been prepared; by default $TFDS_DATA_DIR, or else
            ~/tensorflow_datasets.
        name: what to call the source in `Identity.source`; by default the dataset's or folder's.
        paths_start: where a relative path starts.

    Raises:
        InputError: there is no such dataset, or it isn't prepared; as the sources do.
    """
    folder = (paths_start or Path()) / expanded(dataset)
    if (folder / _INFO_FILE).is_file():
        with _errors_of_tfds(str(folder)) as tfds:
            builder = tfds.builder_from_directory(folder)
    elif (folder / split.partition("[")[0]).is_dir() and split:
        if image not in (None, "image") or label not in (None, "label"):
            raise InputError(f"{folder}: a folder of images has the features 'image' and 'label'")
        return TfdsImageFolder(folder, split, name=name)
    else:
        builder = _find_builder(dataset, folder, split, data_dir)
    return TfdsSource(builder, split, image, label, name=name)


class TfdsSource(ImageSource):
    """A split of a prepared dataset; images are its stored bytes.

    Identities are the labels in the split: classes and other integers are sorted by number, texts
    by their bytes. Other features with a single class, integer or text are attributes. The dataset
    may be stored as TFRecord or array_record.

    Args:
        builder: of the dataset.
        split, image, label, name: as for `open_tfds`.

    Raises:
        InputError: there is no such split or feature, or several could be meant; the split is
            empty; the files are damaged; an image has no label.
    """

    def __init__(
        self,
        builder,
        split: str,
        image: str | None = None,
        label: str | None = None,
        *,
        name: str | None = None,
    ):
        self.name = name or builder.name
        full_name = builder.info.full_name
        with _errors_of_tfds(f"{full_name}: split '{split}'") as tfds:
            instructions = builder.info.splits[split].file_instructions
            if not instructions:
                raise InputError(f"{full_name}: split '{split}' holds no images")
            self._image, self._label, others = _choose_features(tfds, builder.info, image, label)
            features = builder.info.features
            self._text_of = {key: _text_of(tfds, features[key]) for key in (self._label, *others)}
            self._read_raw = _open_records(tfds, builder, split, instructions)
        self.attribute_names = tuple(others)
        self._instructions = instructions
        self._starts = np.cumsum([0] + [instruction.take for instruction in instructions])
        self._options = (full_name, split, self._image, self._label)

        values = [
            self._label_of(index)
            for index in progress(
                range(int(self._starts[-1])), description="reading labels", unit="images"
            )
        ]
        # A NumPy array of bytes would lose trailing zeros.
        kind = object if isinstance(values[0], bytes) else np.int64
        found, labels = np.unique(np.array(values, kind), return_inverse=True)
        self.labels = labels.astype(np.int32)
        to_text = self._text_of[self._label]
        self.identities = [Identity(to_text(value), self.name) for value in found.tolist()]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the dataset's name and version, sizes and times of its files, and options."""
        stats = [Path(instruction.filename).stat() for instruction in self._instructions]
        content = [(stat.st_size, stat.st_mtime_ns) for stat in stats]
        return hashlib.sha256(repr((self._options, content)).encode()).hexdigest()

    def filename(self, index: int) -> str:
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        instruction = self._instructions[number]
        place = instruction.skip + index - int(self._starts[number])
        return f"{Path(instruction.filename).name}/{place}"

    def read(self, index: int) -> Record:
        features = self._features(index)
        encoded = _value(features, self._image)
        if not isinstance(encoded, bytes):
            raise InputError(f"{self.filename(index)}: holds no '{self._image}'")
        texts = {}
        for name in self.attribute_names:
            value = _value(features, name)
            texts[name] = "" if value is None else self._text_of[name](value)
        return Record(encoded, self.filename(index), attribute_features(texts))

    def _label_of(self, index: int) -> int | bytes:
        value = _value(self._features(index), self._label)
        # TensorFlow Datasets writes -1 for an unknown class.
        if value is None or value == b"" or (isinstance(value, int) and value < 0):
            raise InputError(f"{self.filename(index)}: has no '{self._label}'")
        return value

    def _features(self, index: int):
        try:
            return tf.train.Example.FromString(self._read_raw(index)).features.feature
        except InputError:
            raise
        except Exception as error:
            # protobuf and array_record have error classes of their own.
            raise InputError(f"{self.filename(index)}: can't be read: {_line(error)}") from error


class TfdsImageFolder(FolderSource):
    """Images at `SPLIT/LABEL/*.jpg`, the layout of `tfds.ImageFolder`, read as any folder.

    A slice is taken after a seeded shuffle, because the images of a folder are sorted by label.

    Args:
        root: the folder of splits.
        split: a sub-folder, also with a slice.
        name: what to call this source in `Identity.source`; by default the folder's name.

    Raises:
        InputError: as `FolderSource` does; the slice is none, or empty.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("ann", "bob"):
        ...         Path(folder, "train", name).mkdir(parents=True)
        ...         Image.new("RGB", (32, 32)).save(Path(folder, "train", name, "1.png"))
        ...     source = TfdsImageFolder(Path(folder), "train", name="faces")
        >>> source.num_images, source.identities[1]
        (2, Identity(name='bob', source='faces'))
    """

    def __init__(self, root: Path, split: str, *, name: str | None = None):
        folder, bracket, _ = split.partition("[")
        super().__init__(root / folder, name=name or root.resolve().name)
        if not bracket:
            return
        with _errors_of_tfds(f"{root}: split '{split}'") as tfds:
            info = tfds.core.SplitInfo(folder, shard_lengths=[self.num_images], num_bytes=0)
            parts = tfds.core.ReadInstruction.from_spec(split).to_absolute({folder: info})
        order = seeding.permutation(seeding.fold(0), self.num_images)
        kept = np.unique(np.concatenate([order[part.from_ : part.to] for part in parts]))
        if not len(kept):
            raise InputError(f"{root}: split '{split}' holds no images")
        found, labels = np.unique(self.labels[kept], return_inverse=True)
        self.identities = [self.identities[label] for label in found]
        self.labels = labels.astype(np.int32)
        self._set_files(root / folder, [self._paths[index] for index in kept])


def _find_builder(dataset: str, folder: Path, split: str, data_dir: Path | None):
    """Returns the builder of a registered dataset."""
    no_folder = f"{folder}: no such folder"
    if folder.is_dir():
        no_folder = f"{folder}: has neither a {_INFO_FILE} nor a folder '{split}' of images"
    if not _NAME.fullmatch(dataset):
        raise InputError(f"{no_folder}; and '{dataset}' is no name as lfw or name/config:1.0.0")
    with _errors_of_tfds(dataset) as tfds:
        try:
            builder = tfds.builder(dataset, data_dir=data_dir)
        except tfds.core.DatasetNotFoundError:
            known = tfds.list_builders(with_community_datasets=False)
            raise InputError(
                f"{no_folder}; and TensorFlow Datasets knows no dataset '{dataset}'"
                f"{did_you_mean(dataset, known)}"
            ) from None
        if not builder.is_prepared():
            raise InputError(
                f"{dataset}: is not prepared in {builder.data_dir}; to download and prepare it: "
                f"{_prepare_command(dataset, data_dir)}"
            )
    return builder


def _prepare_command(dataset: str, data_dir: Path | None = None, file_format: str = "") -> str:
    # Not `tfds build`, which requires Apache Beam for every dataset.
    options = f", data_dir={str(data_dir)!r}" if data_dir is not None else ""
    options += f", file_format={file_format!r}" if file_format else ""
    call = f"tfds.builder({dataset!r}{options}).download_and_prepare()"
    return f'python -c "import tensorflow_datasets as tfds; {call}"'


def _choose_features(
    tfds, info, image: str | None, label: str | None
) -> tuple[str, str, list[str]]:
    """Returns the names of the image, the label, and other features of images."""
    features = info.features
    images = [
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.Image) and feature.np_dtype == np.uint8
    ]
    texts = [key for key, feature in features.items() if _is_one_text_or_number(feature)]
    image = _choose(info, images, image, "image", "an image")
    label = _choose(info, texts, label, "label", "a class, a whole number or a text")
    return image, label, [key for key in texts if key != label]


def _choose(info, possible: list[str], wanted: str | None, option: str, kind: str) -> str:
    if wanted is not None:
        if wanted not in possible:
            raise InputError(
                f"{info.full_name}: {option}: '{wanted}' is not {kind}; these are: "
                f"{', '.join(possible) or 'none'}"
            )
        return wanted
    supervised = [key for key in possible if key in (info.supervised_keys or ())]
    for found in (possible, supervised):
        if len(found) == 1:
            return found[0]
    if not possible:
        raise InputError(f"{info.full_name}: has no feature that is {kind}")
    raise InputError(
        f"{info.full_name}: which feature is the {option} must be said by the option '{option}': "
        f"{', '.join(possible)}"
    )


def _is_one_text_or_number(feature) -> bool:
    try:
        stored = feature.get_serialized_info()
    except NotImplementedError:
        return False
    # Excludes lists and nested features.
    if isinstance(stored, dict) or feature.shape != () or stored.shape != ():
        return False
    kinds = [np.dtype(dtype).kind for dtype in (stored.np_dtype, feature.np_dtype)]
    return kinds in (["O", "O"], ["i", "i"], ["u", "u"])


def _text_of(tfds, feature) -> Callable[[int | bytes], str]:
    """Returns a function that converts stored values of a feature to text."""
    if isinstance(feature, tfds.features.ClassLabel):
        return lambda value: feature.int2str(value) if value >= 0 else ""
    return lambda value: (
        value.decode(errors="surrogateescape") if isinstance(value, bytes) else str(value)
    )


def _open_records(tfds, builder, split: str, instructions: Sequence) -> Callable[[int], bytes]:
    """Returns a function that reads the bytes of a record by its index in the split."""
    form = builder.info.file_format.value
    if form == "tfrecord":
        files = {Path(part.filename): part.examples_in_shard for part in instructions}
        records = RecordFiles(list(files), list(files.values()))
        starts = dict(zip(files, records.starts.tolist(), strict=False))
        places = np.concatenate(
            [
                starts[Path(part.filename)] + part.skip + np.arange(part.take)
                for part in instructions
            ]
        )
        return lambda index: records.read_as(bytes, int(places[index]))
    if form == "array_record":
        return builder.as_data_source(
            split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        ).__getitem__
    raise InputError(
        f"{builder.info.full_name}: is stored as {form}, which can't be read image by image; to "
        f"store it as TFRecord: {_prepare_command(builder.name, file_format='tfrecord')}"
    )


def _value(features, name: str) -> int | bytes | None:
    """Returns the value of a record's feature; None if it has no value, or several."""
    if name not in features:
        return None
    feature = features[name]
    values = [*feature.bytes_list.value, *feature.int64_list.value]
    return values[0] if len(values) == 1 else None


@contextlib.contextmanager
def _errors_of_tfds(what: str) -> Iterator:
    """Yields tensorflow_datasets without its logs, and converts its errors to InputError."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.FATAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow_datasets as tfds

            yield tfds
    except InputError:
        raise
    except Exception as error:
        # Errors of any class: builders of datasets are external code.
        raise InputError(f"{what}: {_line(error)}") from error
    finally:
        logging.set_verbosity(verbosity)


def _line(error: Exception) -> str:
    """Returns the first line of an error's text that is not empty."""
    return next(filter(None, map(str.strip, str(error).splitlines())), repr(error))
