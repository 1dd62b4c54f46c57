"""WebDataset: tar archives whose files belong together by the names before their endings."""

import os
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfface.data.records.example import Record
from tfface.data.sources.image_source import ImageSource
from tfface.data.sources.named_images import named_images
from tfface.data.sources.shards import fingerprint_of, is_of_shards, shards_of
from tfface.data.sources.tar_file import Member, TarFile
from tfface.errors import InputError, shown
from tfface.files import parse_json
from tfface.images.listing import EXTENSIONS

_ENDING = ".tar"
# Of a sample's JSON, the keys that may hold its identity, where none is given.
_LABEL_KEYS = ("identity", "label", "class", "cls")
_CLS, _JSON = "cls", "json"
_IMAGES = frozenset(ending[1:] for ending in EXTENSIONS)
_MOST_LABEL_BYTES, _MOST_JSON_BYTES = 4096, 1 << 20
_MOST_NAMED = 5


class _Sample(NamedTuple):
    """Files of one name: ending -> file."""

    archive: int
    key: str
    files: dict[str, Member]


class WebDatasetSource(ImageSource):
    """Images in `.tar` shards, each beside a file with its identity; nothing is unpacked.

    In a shard, the files of a sample follow each other, and have one name up to the first dot:
    `ann/1.jpg` and `ann/1.cls`, or `0001.jpg` and `0001.json`. The identity is the text of the file
    `.cls`, or a value in the file `.json`. Other files of a sample are ignored.

    Identities are sorted by the bytes of their names, and the images of each by name. So shards of
    a folder of identities, with names as in the folder, are the same images in the same order. A
    name without a folder gets that of the identity; where two images have one name then, all have
    the name of their shard before theirs instead.

    Args:
        path: a shard, or a folder of shards.
        label: where the identity is: the ending of a file, such as `cls`, or a key in the `.json`;
            by default `cls`, or else the only key of `identity`, `label`, `class` and `cls`.
        image: ending of the image, where samples have several.
        name: the source's name in `Identity.source`; by default the stem of the path.

    Raises:
        InputError: there is no shard; one is damaged, cut short or compressed; or a sample has no
            image, several, or no identity.

    Example:
        >>> import io, tarfile, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with tarfile.open(Path(folder, "faces-000000.tar"), "w") as shard:
        ...         for name, content in (("ann/1.jpg", b"image"), ("ann/1.cls", b"ann")):
        ...             info = tarfile.TarInfo(name)
        ...             info.size = len(content)
        ...             shard.addfile(info, io.BytesIO(content))
        ...     source = WebDatasetSource(Path(folder))
        ...     source.identities[0].name, source.filename(0), source.read(0).encoded
        ('ann', 'ann/1.jpg', b'image')
    """

    def __init__(
        self,
        path: Path,
        label: str | None = None,
        image: str | None = None,
        *,
        name: str | None = None,
    ):
        path = Path(path)
        self.name = name or path.resolve().stem
        self._options = (label, image)
        self._archives = [TarFile(file) for file in shards_of(path, _ENDING)]
        images: list[tuple[int, int, int]] = []
        identities, filenames = [], []
        for number, archive in enumerate(self._archives):
            for sample in _samples(number, archive):
                member = _image(archive, sample, image)
                images.append((number, member.start, member.size))
                filenames.append(os.fsdecode(member.name))
                # Interned, because the same few texts are repeated.
                identities.append(sys.intern(_identity(archive, sample, label)))
        if not images:
            raise InputError(f"{path}: holds no images")
        found = named_images(
            path,
            self.name,
            identities,
            filenames,
            [self._archives[number].path.name for number, _, _ in images],
        )
        self.identities, self.labels = found.identities, found.labels
        self._filenames = found.filenames
        self._places = np.array(images, np.int64)[found.order]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the shards' names, sizes and modification times, and of the options."""
        return fingerprint_of([archive.path for archive in self._archives], self._options)

    def filename(self, index: int) -> str:
        return self._filenames[index]

    def read(self, index: int) -> Record:
        number, start, size = self._places[index].tolist()
        return Record(self._archives[number].read(start, size), self.filename(index))


def holds_webdataset(path: Path) -> bool:
    """Whether `path` is in the format of `WebDatasetSource`."""
    return is_of_shards(path, _ENDING)


def _samples(number: int, archive: TarFile) -> Iterator[_Sample]:
    """Yields the samples of a shard, which are files of one name in a row."""
    sample: _Sample | None = None
    seen: set[str] = set()
    for member in archive.members():
        folder, slash, base = os.fsdecode(member.name).rpartition("/")
        stem, dot, ending = base.partition(".")
        # Of macOS and of hidden files; no sample has such a name.
        if not stem or not dot:
            continue
        key, ending = folder + slash + stem, ending.lower()
        if sample is None or sample.key != key:
            if sample is not None:
                yield sample
            if key in seen:
                raise InputError(
                    f"{archive.path}: the files of the sample {shown(key)} do not follow each "
                    "other: pack it sorted by name (tar --sort=name)"
                )
            seen.add(key)
            sample = _Sample(number, key, {})
        if ending in sample.files:
            raise InputError(f"{archive.path}: {shown(key)}.{shown(ending)}: is there twice")
        sample.files[ending] = member
    if sample is not None:
        yield sample


def _image(archive: TarFile, sample: _Sample, wanted: str | None) -> Member:
    endings = [wanted] if wanted is not None else [e for e in sample.files if _is_image(e)]
    found = [ending for ending in endings if ending in sample.files]
    place = f"{archive.path}: the sample {shown(sample.key)}"
    if not found:
        there = shown(", ".join(sample.files))
        raise InputError(f"{place} has no image{f' .{wanted}' if wanted else ''}, but: {there}")
    if len(found) > 1:
        raise InputError(
            f"{place} has several images ({shown(', '.join(found))}): choose by the option image, "
            f"as in image: {found[0]}"
        )
    return sample.files[found[0]]


def _is_image(ending: str) -> bool:
    return ending.rpartition(".")[2] in _IMAGES


def _identity(archive: TarFile, sample: _Sample, label: str | None) -> str:
    """Returns the identity of a sample, as the shard has it."""
    place = f"{archive.path}: the sample {shown(sample.key)}"
    ending = _CLS if label is None else label
    if ending in sample.files and ending != _JSON:
        return _text(archive, sample.files[ending], _MOST_LABEL_BYTES, f"{place}.{ending}")
    if _JSON not in sample.files:
        wanted = f".{label}" if label else ".cls"
        raise InputError(f"{place} has neither a file {wanted} nor a .json with its identity")
    text = _text(archive, sample.files[_JSON], _MOST_JSON_BYTES, f"{place}.{_JSON}")
    try:
        content = parse_json(text)
    except ValueError as error:
        raise InputError(f"{place}.{_JSON}: can't be read: {shown(str(error))}") from error
    if not isinstance(content, dict):
        raise InputError(f"{place}.{_JSON}: must be an object")
    keys = [key for key in ((label,) if label else _LABEL_KEYS) if key in content]
    if len(keys) != 1:
        there = shown(", ".join(content)) or "none"
        problem = "several keys that may be its identity" if keys else "no identity"
        raise InputError(
            f"{place}.{_JSON}: {problem}; its keys are: {there}: choose by the option label"
        )
    return _plain_text(content[keys[0]], f"{place}.{_JSON}: {keys[0]}")


def _text(archive: TarFile, member: Member, most: int, place: str) -> str:
    if member.size > most:
        raise InputError(f"{place}: has {member.size:,} bytes, which no label has")
    try:
        return archive.read(member.start, member.size).decode()
    except UnicodeDecodeError:
        raise InputError(f"{place}: is no text in UTF-8") from None


def _plain_text(value: Any, place: str) -> str:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise InputError(f"{place}: must be a name or a whole number")
