"""labels.int32: the label of each record of a dataset, in the order of the shards and records.

It holds 4 bytes a label, signed, little-endian, and nothing else:
`np.fromfile("labels.int32", "<i4")`. dataset.json has its SHA-256. With it, a run knows the labels
without reading all records, of which millions would take minutes at every start.
"""

import contextlib
import hashlib
import shlex
from pathlib import Path

import numpy as np

from tfface.data.records import manifest
from tfface.data.records.manifest import (
    DATASET_FILE,
    IDENTITIES_FILE,
    DatasetFolder,
    LabelsEntry,
)
from tfface.data.records.reader import RecordFiles
from tfface.errors import InputError
from tfface.files import creating, read_regular, remove_partial, replacing
from tfface.folder_lock import locked

LABELS_FILE = "labels.int32"
_TYPE = np.dtype("<i4")


def write(folder: Path, labels: np.ndarray) -> LabelsEntry:
    """Writes the labels into a folder that has no dataset.json yet.

    Args:
        folder: of the dataset.
        labels: int [records].
    Returns: what dataset.json is to say of the file.
    """
    content = labels.astype(_TYPE).tobytes()
    with replacing(folder / LABELS_FILE) as path:
        path.write_bytes(content)
    return _entry(content)


def read(folder: Path, dataset: DatasetFolder) -> np.ndarray:
    """Returns the labels of a dataset that has the file: int32 [records].

    Its SHA-256 is checked at every reading: for millions of labels that takes some hundredths of a
    second.

    Raises InputError: the file is missing, or not as dataset.json and identities.csv say.
    """
    labels = _read(folder, dataset)
    _check_counts(folder / dataset.labels.file, labels, dataset)
    return labels


def of_records(folder: Path, dataset: DatasetFolder) -> np.ndarray:
    """Finds the labels by reading all records: int32 [records].

    Raises InputError: a file is damaged, holds another number of records than dataset.json says,
        or a label that identities.csv does not list.
    """
    files = RecordFiles(
        [folder / shard.file for shard in dataset.shards],
        [shard.records for shard in dataset.shards],
    )
    labels = files.labels()
    if not 0 <= labels.min() <= labels.max() < len(dataset.identities):
        raise InputError(
            f"{folder}: the records' labels are {labels.min()}..{labels.max()}, but "
            f"{len(dataset.identities)} identities are listed"
        )
    return labels.astype(np.int32)


def add(folder: Path) -> tuple[DatasetFolder, bool]:
    """Gives a dataset of an earlier version its file of labels, and one whose file is damaged.

    The records are read once, and stay as they are. When it is stopped, the folder is as before,
    and `add` can be called again.

    Returns: the dataset, and whether it had the labels already.
    Raises InputError: the folder is no finished dataset, is being written, or its records are
        damaged; or a foreign file has the name.

    Example:
        >>> import tempfile
        >>> from tfface.data.records.conversion import convert
        >>> faces = "{source: synthetic, num_identities: 2, images_per_identity: 3, size: 32}"
        >>> with tempfile.TemporaryDirectory() as name:
        ...     folder = Path(name, "faces")
        ...     _ = convert([faces], folder, seed=1)
        ...     (folder / LABELS_FILE).unlink()
        ...     _, was_there = add(folder)
        ...     was_there, np.fromfile(folder / LABELS_FILE, "<i4").tolist()
        (False, [0, 1, 1, 0, 1, 0])
    """
    # Before the lock, which would make a folder that isn't there.
    manifest.read(folder)
    with locked(folder):
        dataset = manifest.read(folder)
        if dataset.labels is not None:
            with contextlib.suppress(InputError):
                read(folder, dataset)
                return dataset, True
        labels = of_records(folder, dataset)
        _check_counts(folder, labels, dataset)
        content = labels.astype(_TYPE).tobytes()
        # A file that dataset.json doesn't list may be the user's.
        is_ours = dataset.labels is not None and dataset.labels.file == LABELS_FILE
        remove_partial(folder)
        with (replacing if is_ours else creating)(folder / LABELS_FILE) as path:
            path.write_bytes(content)
        manifest.set_labels(folder, _entry(content))
        return manifest.read(folder), False


def problems(folder: Path, dataset: DatasetFolder, found: np.ndarray) -> list[str]:
    """Returns what is wrong with a dataset's file of labels, one line at most; nothing without it.

    Args:
        folder: of the dataset.
        dataset: what it says of itself.
        found: the labels in the records, int [records], -1 where one can't be read.
    """
    if dataset.labels is None:
        return []
    try:
        labels = _read(folder, dataset)
    except InputError as error:
        return [str(error)]
    # Where there are more records or fewer, other lines say so.
    if len(found) != len(labels):
        return []
    different = np.flatnonzero((found >= 0) & (found != labels))
    if not len(different):
        return []
    first = different[0]
    return [
        f"{folder / dataset.labels.file}: {len(different)} labels are not those of the records: "
        f"that of image {first} is {labels[first]}, but its record says {found[first]}"
    ]


def command(folder: Path) -> str:
    """Returns the command that writes the file."""
    return f"tfface convert --add-labels {shlex.quote(str(folder))}"


def _entry(content: bytes) -> LabelsEntry:
    return LabelsEntry(LABELS_FILE, hashlib.sha256(content).hexdigest())


def _read(folder: Path, dataset: DatasetFolder) -> np.ndarray:
    path = folder / dataset.labels.file
    try:
        content = read_regular(path)
    except FileNotFoundError:
        raise _wrong(path, f"missing, though {DATASET_FILE} lists it") from None
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    if len(content) != (expected := dataset.num_images * _TYPE.itemsize):
        raise _wrong(path, f"{len(content)} bytes, but the labels of all records are {expected}")
    if (found := _entry(content).sha256) != dataset.labels.sha256:
        raise _wrong(
            path, f"its SHA-256 is {found}, but {DATASET_FILE} says {dataset.labels.sha256}"
        )
    return np.frombuffer(content, _TYPE).astype(np.int32)


def _check_counts(path: Path, labels: np.ndarray, dataset: DatasetFolder) -> None:
    """Raises InputError: labels don't occur as often as identities.csv says."""
    said = np.array(dataset.images_per_identity)
    # Labels that nobody has are counted together, as one more.
    known = (labels >= 0) & (labels < len(said))
    counts = np.bincount(np.where(known, labels, len(said)), minlength=len(said) + 1)
    different = np.flatnonzero(counts[:-1] != said)
    if len(different):
        label = different[0]
        raise InputError(
            f"{path}: label {label} is there {counts[label]} times, but {IDENTITIES_FILE} says "
            f"{said[label]}"
        )


def _wrong(path: Path, what: str) -> InputError:
    return InputError(f"{path}: {what}; {command(path.parent)} writes it again")
