"""Parquet files with a column of images and one of labels, as Hugging Face publishes them."""

import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tfface.data.arrow_errors import arrow_errors
from tfface.data.records.example import Record
from tfface.data.sources.image_source import ImageSource
from tfface.data.sources.named_images import named_images
from tfface.data.sources.shards import fingerprint_of, is_of_shards, shards_of
from tfface.errors import InputError, shown
from tfface.files import parse_json
from tfface.progress import progress

# pyarrow itself is imported where it is needed: it is an extra.

_ENDING = ".parquet"
_IMAGE_COLUMNS = ("image", "img", "picture", "photo")
_LABEL_COLUMNS = ("label", "identity", "class", "person")
# A group of rows is decompressed as a whole, and some are kept.
_LARGEST_GROUP_BYTES = 1 << 29
_KEPT_BYTES = 1 << 28
_MOST_COLUMNS = 1000


class ParquetSource(ImageSource):
    """Parquet files with a row for each image; nothing is unpacked to disk. Needs pyarrow.

    The column of images has the encoded bytes, or, as Hugging Face's datasets, `bytes` and `path`.
    The column of labels has names or whole numbers; where the file has Hugging Face's names of
    classes, these are the identities.

    Identities are sorted by the bytes of their names, and the images of each by name. An image has
    the name that is beside its bytes, or else the number of its row; the name of the identity comes
    before a name without a folder. Where two images have one name then, all have the name of their
    file before theirs instead.

    Reading an image decompresses the group of rows that it is in (Hugging Face writes groups of
    100 images), and the last groups are kept: large groups make training from the file slow, and a
    group of more than 512 MiB is refused.

    Args:
        path: a file, or a folder of files.
        image: column of the images; by default the only one of `image`, `img`, `picture` and
            `photo`.
        label: column of the identities; by default the only one of `label`, `identity`, `class`
            and `person`.
        name: the source's name in `Identity.source`; by default the stem of the path.

    Raises:
        InputError: there is no file; one is damaged, has not these columns, or an image without
            bytes or identity.
        ModuleNotFoundError: pyarrow is not installed.

    Example:
        >>> import pyarrow, pyarrow.parquet, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     image = {"bytes": b"image", "path": "1.jpg"}
        ...     table = pyarrow.table({"image": [image], "label": ["ann"]})
        ...     pyarrow.parquet.write_table(table, Path(folder, "train.parquet"))
        ...     source = ParquetSource(Path(folder))
        ...     source.identities[0].name, source.filename(0), source.read(0).encoded
        ('ann', 'ann/1.jpg', b'image')
    """

    def __init__(
        self,
        path: Path,
        image: str | None = None,
        label: str | None = None,
        *,
        name: str | None = None,
    ):
        path = Path(path)
        self.name = name or path.resolve().stem
        self._options = (image, label)
        self._files = [_ParquetFile(file, image, label) for file in shards_of(path, _ENDING)]
        identities: list[str] = []
        filenames: list[str] = []
        holders: list[str] = []
        places: list[tuple[int, int, int]] = []
        total = sum(file.num_rows for file in self._files)
        with progress(total=total, description="reading labels", unit="images") as bar:
            for number, file in enumerate(self._files):
                row = 0
                for group in range(file.num_groups):
                    for place, (identity, filename) in enumerate(file.rows(group)):
                        # Interned, because the same few texts are repeated.
                        identities.append(sys.intern(identity))
                        filenames.append(filename or f"{row:08d}")
                        holders.append(file.path.name)
                        places.append((number, group, place))
                        row += 1
                        bar.update()
        if not places:
            raise InputError(f"{path}: holds no images")
        found = named_images(path, self.name, identities, filenames, holders)
        self.identities, self.labels = found.identities, found.labels
        self._filenames = found.filenames
        self._places = np.array(places, np.int64)[found.order]
        self._groups = _KeptGroups(self._files)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the files' names, sizes and modification times, and of the options."""
        return fingerprint_of([file.path for file in self._files], self._options)

    def filename(self, index: int) -> str:
        return self._filenames[index]

    def read(self, index: int) -> Record:
        number, group, place = self._places[index].tolist()
        encoded = self._groups.images(number, group)[place]
        if encoded is None:
            raise InputError(f"{self._files[number].path}: {self.filename(index)}: has no bytes")
        return Record(encoded, self.filename(index))


def holds_parquet(path: Path) -> bool:
    """Whether `path` is in the format of `ParquetSource`."""
    return is_of_shards(path, _ENDING)


class _ParquetFile:
    """One file, with its columns of images and labels.

    It is opened for each read: a set may have more of them than a process may have files open.
    """

    def __init__(self, path: Path, image: str | None, label: str | None):
        import pyarrow
        import pyarrow.parquet

        self._pyarrow = pyarrow
        self.path = path
        self._metadata: Any = None
        with arrow_errors(self.path, "Parquet"), self._opened() as file:
            self._schema = schema = file.schema_arrow
            self._metadata = metadata = file.metadata
            self.num_groups, self.num_rows = metadata.num_row_groups, metadata.num_rows
            if len(schema.names) > _MOST_COLUMNS:
                raise InputError(f"{path}: has {len(schema.names):,} columns")
            self._image = self._column(schema, image, "image", _IMAGE_COLUMNS)
            self._label = self._column(schema, label, "label", _LABEL_COLUMNS)
            self._is_struct = pyarrow.types.is_struct(schema.field(self._image).type)
            self._check_types(schema)
            self._class_names = _class_names(schema.metadata or {}, self._label)
            self._check_groups(metadata)

    def _opened(self) -> Any:
        return self._pyarrow.parquet.ParquetFile(
            self.path,
            # Read once.
            metadata=self._metadata,
            thrift_string_size_limit=1 << 26,
            thrift_container_size_limit=1 << 22,
        )

    def rows(self, group: int) -> Iterator[tuple[str, str]]:
        """Yields the identity and the name of each image, "" without one, of a group of rows."""
        has_paths = self._is_struct and self._has_field("path")
        columns = [self._label, *([f"{self._image}.path"] if has_paths else [])]
        table = self._read(group, columns)
        labels = table.column(self._label).to_pylist()
        paths: Sequence[str | None] = [None] * len(labels)
        if has_paths:
            paths = [image and image["path"] for image in table.column(self._image).to_pylist()]
        for place, (label, path) in enumerate(zip(labels, paths, strict=True)):
            yield self._identity(label, group, place), path or ""

    def images(self, group: int) -> list[bytes | None]:
        """Returns the encoded images of a group of rows; None for one without bytes."""
        column = f"{self._image}.bytes" if self._is_struct else self._image
        values = self._read(group, [column]).column(self._image).to_pylist()
        if self._is_struct:
            return [value and value["bytes"] for value in values]
        return values

    def _read(self, group: int, columns: list[str]) -> Any:
        with arrow_errors(self.path, "Parquet"), self._opened() as file:
            table = file.read_row_group(group, columns=columns, use_threads=False)
            table.validate(full=True)
            wanted = self._metadata.row_group(group).num_rows
        if table.num_rows != wanted:
            raise InputError(
                f"{self.path}: damaged: a group of {wanted:,} rows holds {table.num_rows:,}"
            )
        return table

    def _column(self, schema: Any, given: str | None, option: str, known: Sequence[str]) -> str:
        there = schema.names
        wanted = [given] if given is not None else [name for name in known if name in there]
        found = [name for name in wanted if there.count(name) == 1]
        if len(found) == 1:
            return found[0]
        shown_names = shown(", ".join(there))
        raise InputError(
            f"{self.path}: "
            + (f"has no column '{given}'" if given else f"it is not clear which is the {option}")
            + f"; its columns are: {shown_names}: choose by the option {option}"
        )

    def _has_field(self, name: str) -> bool:
        kind = self._schema.field(self._image).type
        return kind.get_field_index(name) >= 0

    def _check_types(self, schema: Any) -> None:
        types = self._pyarrow.types
        kind = schema.field(self._image).type
        content = kind.field("bytes").type if self._is_struct and self._has_field("bytes") else kind
        if not (types.is_binary(content) or types.is_large_binary(content)):
            raise InputError(
                f"{self.path}: the column {shown(self._image)} is of the type {shown(str(kind))}, "
                "and encoded images are bytes"
            )
        if self._is_struct and self._has_field("path"):
            paths = kind.field("path").type
            if not (types.is_string(paths) or types.is_large_string(paths)):
                raise InputError(f"{self.path}: the paths of images are no text")
        label = schema.field(self._label).type
        if not any(
            check(label) for check in (types.is_integer, types.is_string, types.is_large_string)
        ):
            raise InputError(
                f"{self.path}: the column {shown(self._label)} is of the type {shown(str(label))}, "
                "and identities are names or whole numbers"
            )

    def _check_groups(self, metadata: Any) -> None:
        for number in range(self.num_groups):
            num_bytes = metadata.row_group(number).total_byte_size
            if num_bytes > _LARGEST_GROUP_BYTES:
                raise InputError(
                    f"{self.path}: a group of its rows has {num_bytes:,} bytes, and "
                    f"{_LARGEST_GROUP_BYTES:,} are read at once: write it anew with a smaller "
                    "row_group_size"
                )

    def _identity(self, label: int | str | None, group: int, place: int) -> str:
        where = f"{self.path}: row {place} of group {group}"
        if label is None:
            raise InputError(f"{where}: has no {shown(self._label)}")
        if isinstance(label, int) and self._class_names is not None:
            if not 0 <= label < len(self._class_names):
                raise InputError(
                    f"{where}: has the label {label}, and there are names of "
                    f"{len(self._class_names):,} classes"
                )
            return self._class_names[label]
        return str(label)


class _KeptGroups:
    """The images of the last groups of rows that were read; threads may ask at once."""

    def __init__(self, files: Sequence[_ParquetFile]):
        self._files = files
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, int], tuple[list[bytes | None], int]] = OrderedDict()
        self._num_bytes = 0

    def images(self, number: int, group: int) -> list[bytes | None]:
        key = (number, group)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        images = self._files[number].images(group)
        num_bytes = sum(len(image) for image in images if image is not None)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = images, num_bytes
                self._num_bytes += num_bytes
            while self._num_bytes > _KEPT_BYTES and len(self._kept) > 1:
                _, (_, dropped) = self._kept.popitem(last=False)
                self._num_bytes -= dropped
        return images


def _class_names(metadata: Mapping[bytes, bytes], label: str) -> list[str] | None:
    """Returns the names of classes in the metadata of Hugging Face's datasets, if there are any."""
    try:
        content = parse_json(metadata.get(b"huggingface", b"null"))
        names = content["info"]["features"][label]["names"]
    except (ValueError, TypeError, LookupError):
        return None
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names
    return None
