"""TFRecord files of faces: a converted dataset, or bare files such as arcface-tf2 writes."""

from pathlib import Path

from tfface.data.records import example
from tfface.data.records.manifest import DATASET_FILE
from tfface.data.sources.bare_tfrecord import (
    BareTFRecordSource,
    TFRecordPathsSource,
    is_record_file,
    open_files,
    record_files_in,
)
from tfface.data.sources.dataset import DatasetSource
from tfface.errors import InputError


def open_tfrecord(
    path: Path, image_root: Path | None = None, *, name: str | None = None
) -> DatasetSource | BareTFRecordSource | TFRecordPathsSource:
    """A converted dataset, or `.tfrecord` files such as arcface-tf2 writes.

    Args:
        path: a folder with a dataset.json, one `.tfrecord` file, or a folder of them.
        image_root: for records of paths, the folder where these start and which none may leave; by
            default that of the record files.
        name: what to call the source in `Identity.source`.
    Raises InputError: as the sources do; `image_root` is given, but the records hold the images.
    """
    path = Path(path)
    if (path / DATASET_FILE).exists():
        source = DatasetSource(path, name=name)
    else:
        files = open_files(path)
        if files.read_as(example.holds_path, 0):
            return TFRecordPathsSource(path, image_root, name=name, files=files)
        source = BareTFRecordSource(path, name=name, files=files)
    if image_root is not None:
        raise InputError(
            f"{path}: the option 'image_root' is given, but the records hold the images"
        )
    return source


def holds_tfrecords(path: Path) -> bool:
    """Whether `path` looks like something for `open_tfrecord`."""
    if path.is_dir():
        return (path / DATASET_FILE).exists() or bool(record_files_in(path))
    return is_record_file(path)
