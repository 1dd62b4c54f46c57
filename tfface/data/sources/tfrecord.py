"""TFRecord files of faces: a converted dataset, or bare files such as arcface-tf2 writes."""

from pathlib import Path

from tfface.data.dataset_folder import DATASET_FILE
from tfface.data.sources.bare_tfrecord import BareTFRecordSource
from tfface.data.sources.dataset import DatasetSource


def open_tfrecord(path: Path, *, name: str | None = None) -> DatasetSource | BareTFRecordSource:
    """Opens what `path` holds.

    Args:
        path: a folder with a dataset.json, one `.tfrecord` file, or a folder of them.
        name: what to call the source in `Identity.source`.
    Raises InputError: as the two sources do.
    """
    if (path / DATASET_FILE).exists():
        return DatasetSource(path, name=name)
    return BareTFRecordSource(path, name=name)


def holds_tfrecords(path: Path) -> bool:
    """Whether `path` looks like something for `open_tfrecord`."""
    if path.is_dir():
        return (path / DATASET_FILE).exists() or any(path.glob("*.tfrecord"))
    return path.suffix == ".tfrecord"
