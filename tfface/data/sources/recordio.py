"""MXNet record files of faces, as InsightFace publishes its training sets."""

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from tfface.data.records.example import Record
from tfface.data.records.manifest import Identity
from tfface.data.sources.image_source import ImageSource
from tfface.data.sources.recordio_file import HEADER, LABEL_BYTES, RecordIOFile, read_index
from tfface.errors import InputError, warn

# Integers below it are exact in float32, the type of all labels and counts.
_EXACT = 2**24
# File names of parts by im2rec: NAME_0.rec or NAME_0_train.rec.
_CHUNK = re.compile(r"(?P<name>.+)_(?P<number>[0-9]{1,4})(?P<part>_train|_val|_test)?\.rec", re.I)
_MOST_NAMED = 5


class RecordIOSource(ImageSource):
    """A `.rec` file with its `.idx`, and InsightFace's `property` file beside it if there is one.

    Images are sorted by key. The identities are the labels, which are also their names. In
    InsightFace's layout, record 0 names the range of identity records, and each of these the range
    of its images; both are checked against the labels of the images, as far as the numbers are
    exact (below 2**24), but not used. In im2rec's layout every record is an image. An index must
    list all records. Without an index, or if all its keys are 0, the file is scanned, with a
    warning; keys are then the ids of the records or, if these are not unique, their positions.

    Further entries of a label list (whether a face is aligned, landmarks) are not read.

    Args:
        path: the `.rec` file, or a folder with a train.rec or no other .rec than one.
        label: index of the identity in an image's list of labels.
        on_empty_identity: what to do when the files speak of identities without images: `error`, or
            `skip` to leave them out, which `left_out` then tells.
        name: the source's name in `Identity.source`; by default the name of the folder.

    Attributes:
        path: the `.rec` file.

    Raises:
        InputError: a file is missing or damaged, the files contradict each other, a label is no
            identity or too large to be exact, a record holds no image, an identity has none.
    """

    def __init__(
        self,
        path: Path,
        label: Annotated[int, Field(ge=0)] = 0,
        on_empty_identity: Literal["error", "skip"] = "error",
        *,
        name: str | None = None,
    ):
        path = _find_rec(Path(path))
        self.path = path
        self.name = name or path.resolve().parent.name
        self._file = RecordIOFile(path)
        self._options = (label, on_empty_identity)
        index, self._property = _beside(path)
        keys, offsets, headers = _records(self._file, index)
        is_empty = headers["record_bytes"] == HEADER.size + LABEL_BYTES * headers["flag"].astype(
            np.int64
        )
        is_insightface = bool(keys[0] == 0 and is_empty[0] and headers["flag"][0] == 2)
        is_of_identity = is_insightface & is_empty & (headers["flag"] == 2) & (keys > 0)
        is_index = is_insightface & (keys == 0)
        for key in keys[is_empty & ~is_of_identity & ~is_index][:1]:
            raise InputError(f"{path}: record {key} holds no image")
        is_image = ~is_empty
        if not is_image.any():
            raise InputError(f"{path}: holds no images")

        self._keys, self._offsets = keys[is_image], offsets[is_image]
        self._part_bytes = headers["part_bytes"][is_image]
        found, labels = np.unique(self._read_labels(headers[is_image], label), return_inverse=True)
        self.labels = labels.astype(np.int32)
        self.identities = [Identity(str(number), self.name) for number in found]
        if is_insightface:
            self._check_counts(keys[is_of_identity], self._file.labels(offsets[:1], 0)[0])
        if label == 0:
            # What the files say of identities concerns the first entry.
            empty = np.empty(0, np.int64)
            if is_insightface:
                of_identities = offsets[is_of_identity]
                ranges = np.stack([self._file.labels(of_identities, i) for i in (0, 1)], axis=1)
                empty = self._check_ranges(keys[is_of_identity], ranges, found)
            self._find_empty(empty, found, skip=on_empty_identity == "skip")

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the files' names, sizes and modification times, and of the options."""
        rec = self._file.path
        files = [file for file in (rec, *_beside(rec)) if file.is_file()]
        stats = [(file.name, file.stat()) for file in files]
        content = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
        return hashlib.sha256(repr((content, self._options)).encode()).hexdigest()

    def filename(self, index: int) -> str:
        return f"{self._file.path.name}/{self._keys[index]}"

    def read(self, index: int) -> Record:
        record = self._file.read(int(self._offsets[index]), int(self._part_bytes[index]))
        flag = HEADER.unpack_from(record)[0]
        return Record(record[HEADER.size + LABEL_BYTES * flag :], self.filename(index))

    def _read_labels(self, headers: np.ndarray, entry: int) -> np.ndarray:
        """Returns the labels of the images in the file, int64 [images]."""
        flags = headers["flag"]
        path = self._file.path
        short = (flags <= entry) & ~((flags == 0) & (entry == 0))
        for place in np.flatnonzero(short)[:1]:
            raise InputError(
                f"{path}: record {self._keys[place]} has {max(flags[place], 1)} labels, but the "
                f"option 'label' asks for number {entry}, counted from 0"
            )
        labels = headers["label"].copy()
        in_list = flags > 0
        labels[in_list] = self._file.labels(self._offsets[in_list], entry)
        # NaN fails all of these comparisons.
        good = (labels >= 0) & (labels < _EXACT) & (labels == np.floor(labels))
        for place in np.flatnonzero(~good)[:1]:
            raise InputError(
                f"{path}: record {self._keys[place]} has the label {labels[place]:.10g}: an "
                f"identity is a whole number from 0 to {_EXACT - 1} (as float32, in which labels "
                "are written, larger numbers are not all different)"
            )
        return labels.astype(np.int64)

    def _check_counts(self, identity_keys: np.ndarray, first: np.float32) -> None:
        """Checks the index record: the images are the records before record `first`."""
        path = self._file.path
        if len(identity_keys) and identity_keys[0] < self._keys[-1]:
            raise InputError(
                f"{path}: record {identity_keys[0]} describes an identity, but the later record "
                f"{self._keys[-1]} is an image"
            )
        if not first >= _EXACT and first != self.num_images + 1:
            raise InputError(
                f"{path}: record 0 says that identities begin at record {first:.0f}, which makes "
                f"{first - 1:.0f} images, but the file has {self.num_images}: the file or its "
                "index is incomplete"
            )

    def _check_ranges(
        self, identity_keys: np.ndarray, ranges: np.ndarray, found: np.ndarray
    ) -> np.ndarray:
        """Checks the ranges of images in the identity records.

        Args:
            identity_keys: int64 [identities].
            ranges: float32 [identities, 2]: the first key, and the key behind the last.
            found: sorted labels of all images.

        Returns:
            Labels of identities without images, int64.
        """
        path = self._file.path
        # NaN is checked as well.
        checked = ~(ranges >= _EXACT).any(axis=1)
        sensible = (ranges == np.floor(ranges)).all(axis=1) & (ranges[:, 0] >= 1)
        sensible &= ranges[:, 1] >= ranges[:, 0]
        first, end = np.where((checked & sensible)[:, None], ranges, 1).astype(np.int64).T
        start, stop = np.searchsorted(self._keys, first), np.searchsorted(self._keys, end)
        right = sensible & (stop - start == end - first)
        for place in np.flatnonzero(checked & ~right)[:1]:
            raise InputError(
                f"{path}: record {identity_keys[place]} says that an identity has the images from "
                f"{ranges[place, 0]:.0f} up to, but not including, {ranges[place, 1]:.0f}, but "
                "these do not exist"
            )
        # Number of label changes up to each image.
        changes = np.cumsum(np.diff(self.labels, prepend=self.labels[0]) != 0)
        held = stop > start
        same = np.ones(len(first), bool)
        same[held] = changes[start[held]] == changes[stop[held] - 1]
        for place in np.flatnonzero(~same)[:1]:
            raise InputError(
                f"{path}: record {identity_keys[place]} says that the records {first[place]} to "
                f"{end[place] - 1} are images of one identity, but their labels differ"
            )
        if checked.all() and (end - first).sum() != self.num_images:
            raise InputError(
                f"{path}: the records of identities count {(end - first).sum()} images, but the "
                f"file has {self.num_images}"
            )
        none = np.flatnonzero(ranges[:, 0] == ranges[:, 1])
        has_images = np.isin(none, found)
        for place in none[has_images & checked[none]][:1]:
            raise InputError(
                f"{path}: record {identity_keys[place]} says that identity {place} has no images, "
                "but some have that label"
            )
        return none[~has_images]

    def _find_empty(self, empty: np.ndarray, found: np.ndarray, *, skip: bool) -> None:
        """Reports declared identities without images, or raises an error.

        Args:
            empty: labels of empty identities, according to the identity records.
            found: sorted labels of all images.
        """
        path = self._property
        count, names = len(empty), empty[:_MOST_NAMED]
        declared = _read_property(path)
        if declared is not None:
            if found[-1] >= declared:
                raise InputError(
                    f"{path}: declares {declared} identities, 0 to {declared - 1}, but images in "
                    f"{self._file.path.name} have the label {found[-1]}"
                )
            count = declared - len(found) + np.count_nonzero(empty >= declared)
            # These suffice to find the first names.
            numbers = np.arange(min(declared, len(found) + _MOST_NAMED))
            names = np.union1d(np.setdiff1d(numbers, found), empty)[:_MOST_NAMED]
        if count and not skip:
            listed = ", ".join(map(str, names)) + (", ..." if count > len(names) else "")
            raise InputError(
                f"{self._file.path}: "
                + (f"identity {listed} has" if count == 1 else f"identities {listed} have")
                + f" no images ({count} of {len(found) + count}): set on_empty_identity: skip to "
                "exclude such identities"
            )
        if count:
            self.left_out = [("declared without images", int(count), 0)]


class RecordIOChunks(ImageSource):
    """The parts that `im2rec --chunks` writes, concatenated.

    Args:
        paths: of the parts' `.rec` files.
        label: index of the identity, if images have a list of labels.
        on_empty_identity: what to do with identities that the files declare but that have no
            images: `error`, or `skip` them.
        name: the source's name in `Identity.source`.

    Raises:
        InputError: as `RecordIOSource`.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        label: int = 0,
        on_empty_identity: Literal["error", "skip"] = "error",
        *,
        name: str | None = None,
    ):
        self._parts = [RecordIOSource(path, label, on_empty_identity, name=name) for path in paths]
        self.name = self._parts[0].name
        numbers = [
            np.array([int(identity.name) for identity in part.identities])[part.labels]
            for part in self._parts
        ]
        found, labels = np.unique(np.concatenate(numbers), return_inverse=True)
        self.labels = labels.astype(np.int32)
        self.identities = [Identity(str(number), self.name) for number in found]
        self._starts = np.cumsum([0, *(part.num_images for part in self._parts)])

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the fingerprints of the parts."""
        return hashlib.sha256(repr([part.fingerprint for part in self._parts]).encode()).hexdigest()

    def filename(self, index: int) -> str:
        part, inside = self._find(index)
        return part.filename(inside)

    def read(self, index: int) -> Record:
        part, inside = self._find(index)
        return part.read(inside)

    def _find(self, index: int) -> tuple[RecordIOSource, int]:
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._parts[number], index - int(self._starts[number])


def open_recordio(
    path: Path,
    label: Annotated[int, Field(ge=0)] = 0,
    on_empty_identity: Literal["error", "skip"] = "error",
    *,
    name: str | None = None,
) -> RecordIOSource | RecordIOChunks:
    """MXNet's RecordIO, as InsightFace publishes datasets.

    Args:
        path: the `.rec` file; or a folder with a train.rec, with no other .rec than one, or with
            the parts NAME_0.rec, NAME_1.rec, ... that `im2rec --chunks` writes.
        label: index of the identity, if images have a list of labels.
        on_empty_identity: what to do with identities that the files declare but that have no
            images: `error`, or `skip` them.
        name: the source's name in `Identity.source`.

    Raises:
        InputError: as `RecordIOSource`; or a part is missing.
    """
    path = Path(path)
    if chunks := _chunks(path):
        return RecordIOChunks(chunks, label, on_empty_identity, name=name)
    return RecordIOSource(path, label, on_empty_identity, name=name)


def holds_recordio(path: Path) -> bool:
    """Whether `path` is in the format of `open_recordio`."""
    if path.is_dir():
        return bool(_rec_files(path))
    return path.suffix.lower() == ".rec"


def _find_rec(path: Path) -> Path:
    if not path.is_dir():
        if not path.is_file():
            raise InputError(f"{path}: no such file or folder")
        return path
    if (path / "train.rec").is_file():
        return path / "train.rec"
    found = _rec_files(path)
    if len(found) != 1:
        names = f" of {', '.join(file.name for file in found[:_MOST_NAMED])}" if found else ""
        raise InputError(f"{path}: holds no train.rec: give the path of a .rec file{names}")
    return found[0]


def _rec_files(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() == ".rec" and not path.is_dir()
    )


def _chunks(path: Path) -> list[Path]:
    """Returns the parts in a folder, in order; empty for other folders.

    Raises:
        InputError: one is missing.
    """
    if not path.is_dir() or (path / "train.rec").is_file():
        return []
    files = _rec_files(path)
    matches = [_CHUNK.fullmatch(file.name) for file in files]
    if len(files) < 2 or not all(matches) or len({(m["name"], m["part"]) for m in matches}) > 1:
        return []
    numbers = [int(match["number"]) for match in matches]
    missing = sorted(set(range(max(numbers) + 1)) - set(numbers))
    if missing:
        raise InputError(
            f"{path}: holds parts of a set, {files[0].name} to {files[-1].name}, but number "
            f"{missing[0]} is missing: bring it back, or give the path of one .rec file"
        )
    return [file for _, file in sorted(zip(numbers, files, strict=True))]


def _records(file: RecordIOFile, index: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns keys, offsets and headers of all records, sorted by key.

    Raises:
        InputError: the index does not list all records.
    """
    name = file.path.name
    if not index.is_file():
        warn(f"{file.path}: has no {index.name} beside it: all of its records are read")
    else:
        keys, offsets = read_index(index)
        if len(keys) == 1 or keys.any():
            headers = file.headers(offsets)
            if unlisted := file.count_unlisted(offsets, headers["part_bytes"]):
                raise InputError(
                    f"{index}: lists {len(keys):,} records, but {name} holds "
                    f"{len(keys) + unlisted:,}: bring back the whole index, or remove it to have "
                    f"all records of {name} read without one"
                )
            return keys, offsets, headers
        warn(f"{index}: all its keys are 0, so it is not used: all records of {name} are read")
    keys, offsets = _walk(file)
    return keys, offsets, file.headers(offsets)


def _walk(file: RecordIOFile) -> tuple[np.ndarray, np.ndarray]:
    """Scans the file; returns keys and offsets, sorted by key."""
    offsets = file.find_records()
    keys = file.headers(offsets)["id"]
    if len(np.unique(keys)) < len(keys) or keys.max() > np.iinfo(np.int64).max:
        keys = np.arange(len(offsets))
    order = np.argsort(keys)
    return keys[order].astype(np.int64), offsets[order]


def _beside(rec: Path) -> tuple[Path, Path]:
    return rec.with_suffix(".idx"), rec.with_name("property")


def _read_property(path: Path) -> int | None:
    """Returns the number of identities in the property file; None without that file."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    found = re.fullmatch(rb"\s*([0-9]{1,10})\s*,\s*[0-9]+\s*,\s*[0-9]+\s*", text)
    if found is None:
        raise InputError(f"{path}: expected identities,height,width, got {text[:40]!r}")
    return int(found[1])
