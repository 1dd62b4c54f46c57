"""Where face images come from.

A source is a subclass of `ImageSource` (of `ImageFiles`, when its images are single files), which
says what it has to have. Its annotated positional-or-keyword arguments are its recipe options (a
`Path` is resolved against the data folder); the first of them, `path` as a rule, is what a tool's
SOURCE argument fills. The keyword-only `name` is what to call the source in `Identity.source`;
`paths_start` is for a text that may be a path: where that starts when it is relative.

Its `encoded(indices, shuffle_seed=None, first=0)` gives tf.data of (index int64 [], encoded string
[]): exactly the images of `indices` (distinct), but the first `first` of the order; in the order
given when `shuffle_seed` is None, else in one that the seed decides.

To add one: write a file here, and add a line to `SOURCES` and, when it can be told from its path,
to `RECOGNIZED_BY`; tests/contracts/test_sources.py then tests it (it wants to be told there how to
make a small one).
"""

from collections.abc import Callable
from pathlib import Path

from tfface.data.sources.csv_list import CsvSource, is_csv
from tfface.data.sources.folder import FolderSource
from tfface.data.sources.kface import KFaceSource, is_kface
from tfface.data.sources.recordio import holds_recordio, open_recordio
from tfface.data.sources.split import open_split
from tfface.data.sources.synthetic import SyntheticSource
from tfface.data.sources.tfds import is_prepared_by_tfds, open_tfds
from tfface.data.sources.tfrecord import holds_tfrecords, open_tfrecord
from tfface.data.sources.union import UnionSource

SOURCES = {
    "folder": FolderSource,
    "tfrecord": open_tfrecord,
    "recordio": open_recordio,
    "csv": CsvSource,
    "kface": KFaceSource,
    "tfds": open_tfds,
    "synthetic": SyntheticSource,
    "split": open_split,
    "union": UnionSource,
}

# The first that says yes of a path is its format when none is given.
RECOGNIZED_BY: dict[str, Callable[[Path], bool]] = {
    # Its record files are called as those of others are.
    "tfds": is_prepared_by_tfds,
    "tfrecord": holds_tfrecords,
    "recordio": holds_recordio,
    "csv": is_csv,
    "kface": is_kface,
    "folder": Path.is_dir,
}
