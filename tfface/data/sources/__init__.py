"""Where face images come from.

A source is a subclass of `ImageSource`. Its annotated positional-or-keyword arguments are its
recipe options (a `Path` is resolved against the data folder), and its objects have what
`FolderSource`, the simplest, has:

    identities         list[Identity]; position = label
    labels             int32 [num_images]
    num_images, num_identities
    fingerprint        str: changes when the images do; cheap
    filename(index)    str: what to call an image in an error; its path inside the source
    read(index)        Record: one image, unchanged
    encoded(indices, shuffle_seed=None, first=0)
                       tf.data of (index int64 [], encoded string []): exactly the images of
                       `indices` (distinct), but the first `first` of the order; in the order given
                       when `shuffle_seed` is None, else in one that the seed decides

To add one: write a file here and add a line to `SOURCES`; tests/contracts/test_sources.py then
tests it (it wants to be told there how to make a small one).
"""

from tfface.data.sources.folder import FolderSource
from tfface.data.sources.synthetic import SyntheticSource
from tfface.data.sources.tfrecord import TFRecordSource

SOURCES = {
    "folder": FolderSource,
    "tfrecord": TFRecordSource,
    "synthetic": SyntheticSource,
}
