"""Sources of labeled face images: folders, lists, record files, datasets, synthetic faces.

A source is a subclass of `ImageSource`; if its images are separate files, of `ImageFiles`. Its
annotated positional-or-keyword arguments are its recipe options (a `Path` is relative to the data
folder); a tool's SOURCE argument sets the first of them, usually `path`. The keyword-only `name`
becomes `Identity.source`; `paths_start` is the folder of relative paths in text options.

`encoded(indices, shuffle_seed=None, first=0)` returns a tf.data.Dataset of (index int64 [], encoded
string []): exactly the images of `indices` (distinct), without the first `first` ones; in the given
order if `shuffle_seed` is None, else in an order that depends on the seed.

To add a source, write a module here, and add it to `SOURCES` and, if its format can be detected
from a path, to `RECOGNIZED_BY`. tests/contracts/test_sources.py then tests it, and needs a small
example.

Example:
    >>> source = SOURCES["synthetic"](num_identities=2, images_per_identity=3, size=32)
    >>> source.num_images, source.labels.tolist()
    (6, [0, 0, 0, 1, 1, 1])
"""

from pathlib import Path

from tfface.data.sources.csv_list import CsvSource, is_csv
from tfface.data.sources.folder import FolderSource
from tfface.data.sources.kface import KFaceSource, is_kface
from tfface.data.sources.parquet import ParquetSource, holds_parquet
from tfface.data.sources.photos import PhotosSource
from tfface.data.sources.recordio import holds_recordio, open_recordio
from tfface.data.sources.source_registry import RECOGNIZED_BY, SOURCES
from tfface.data.sources.split import open_split
from tfface.data.sources.synthetic import SyntheticSource
from tfface.data.sources.text_list import ListSource, is_list
from tfface.data.sources.tface import TFaceSource, is_tface_index
from tfface.data.sources.tfds import is_prepared_by_tfds, open_tfds
from tfface.data.sources.tfrecord import holds_tfrecords, open_tfrecord
from tfface.data.sources.union import UnionSource
from tfface.data.sources.webdataset import WebDatasetSource, holds_webdataset

__all__ = ["RECOGNIZED_BY", "SOURCES"]

SOURCES |= {
    "folder": FolderSource,
    "photos": PhotosSource,
    "tfrecord": open_tfrecord,
    "recordio": open_recordio,
    "webdataset": WebDatasetSource,
    "parquet": ParquetSource,
    "tface": TFaceSource,
    "csv": CsvSource,
    "list": ListSource,
    "kface": KFaceSource,
    "tfds": open_tfds,
    "synthetic": SyntheticSource,
    "split": open_split,
    "union": UnionSource,
}

RECOGNIZED_BY |= {
    # Before TFRecord, whose files have similar names.
    "tfds": is_prepared_by_tfds,
    "tfrecord": holds_tfrecords,
    "recordio": holds_recordio,
    "webdataset": holds_webdataset,
    "parquet": holds_parquet,
    "tface": is_tface_index,
    "csv": is_csv,
    "list": is_list,
    "kface": is_kface,
    "folder": Path.is_dir,
}
