"""What a conversion will write: which images, as whom, in which order, in which file."""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfface import seeding
from tfface.data.records.example import Record
from tfface.data.records.identity_list import read_identity_list
from tfface.data.records.manifest import Identity, SourceSummary
from tfface.data.sources.image_files import links_between_sources
from tfface.data.sources.image_source import ImageSource
from tfface.data.sources.opening import OpenedSource, open_source
from tfface.errors import InputError

# Part of a plan's hash; to be raised when the same plan gives other bytes than before.
_VERSION = 2
_IMAGES_PER_SHARD = 2048
_MOST_SHARDS = 256
# Sources that list folders; the others read files that are named, and nothing beside these.
_LISTING = ("folder", "kface", "split", "union")
_CHUNK_IMAGES, _CHUNK_BYTES = 128, 4 << 20


class Pool:
    """The images of all sources, counted through; some identities and images may be left out.

    Attributes:
        formats: of each source.
        sources: opened.
        listed_paths: the folders in which any further file would be found.
        starts: int64 [sources + 1]: the number of each source's first image.
        first_labels: int64 [sources + 1]: the position of each source's first identity.
        identities: of all sources, those that are left out too.
        labels: int32 [all images]: the position in `identities`.
        is_chosen: bool [all images].
        left_out: (why, identities, images) for each reason to leave some out.
        notes: of all sources.
    """

    def __init__(self, arguments: Sequence[str], format: str = "auto"):
        """Opens the sources.

        Args:
            arguments, format: as `open_source` takes them.
        Raises InputError: a source is unusable, or two of them share a name or files.
        """
        opened = [open_source(argument, format) for argument in arguments]
        _check_apart(opened)
        self.formats = [format for format, _, _ in opened]
        self.listed_paths = [
            path for format, _, paths in opened if format in _LISTING for path in paths
        ]
        self.sources = [source for _, source, _ in opened]
        self.identities = [identity for source in self.sources for identity in source.identities]
        if len(set(self.identities)) < len(self.identities):
            raise InputError(
                "two sources hold an identity of the same name and origin: name them, as in "
                "a=PATH b=PATH"
            )
        self.starts = np.cumsum([0] + [source.num_images for source in self.sources])
        self.first_labels = np.cumsum([0] + [source.num_identities for source in self.sources])
        self.labels = np.concatenate(
            [
                source.labels + np.int32(first)
                for source, first in zip(self.sources, self.first_labels, strict=False)
            ]
        )
        self.is_chosen = np.ones(len(self.labels), bool)
        self.left_out = [entry for source in self.sources for entry in source.left_out]
        self.notes = [note for source in self.sources for note in source.notes]
        self.notes += links_between_sources(self.sources, [source.name for source in self.sources])

    @property
    def images_per_identity(self) -> np.ndarray:
        """Of chosen images, int64 [identities]."""
        return np.bincount(self.labels[self.is_chosen], minlength=len(self.identities))

    def keep_identities(self, wanted: np.ndarray, why_not: str) -> None:
        """Leaves out all images of the identities that are not `wanted` (bool [identities]).

        Args:
            wanted: whom to keep.
            why_not: the reason that is noted for the others.
        """
        counts = self.images_per_identity
        dropped = (counts > 0) & ~wanted
        self.is_chosen &= wanted[self.labels]
        self.left_out.append((why_not, int(dropped.sum()), int(counts[dropped].sum())))

    def drop_images(self, images: np.ndarray, why: str) -> None:
        """Leaves out single images, and with them the identities that have no other.

        Args:
            images: int [n], their numbers in the pool.
            why: the reason that is noted.
        """
        before = self.images_per_identity
        self.is_chosen[images] = False
        gone = (before > 0) & (self.images_per_identity == 0)
        self.left_out.append((why, int(gone.sum()), len(images)))

    def locate(self, image: int) -> tuple[ImageSource, int]:
        """Returns the source of an image, and the image's number there.

        Args:
            image: its number in the pool.
        """
        # For each of millions of images: the search takes longer than all else that is done here.
        if len(self.sources) == 1:
            return self.sources[0], image
        number = int(np.searchsorted(self.starts, image, side="right")) - 1
        return self.sources[number], image - int(self.starts[number])

    def read(self, image: int) -> Record:
        """Reads an image; with several sources, their name comes before the file's.

        Args:
            image: its number in the pool.
        """
        source, index = self.locate(image)
        record = source.read(index)
        if len(self.sources) > 1:
            record = dataclasses.replace(record, filename=f"{source.name}/{record.filename}")
        return record

    def read_in_chunks(self, images: np.ndarray) -> Iterator[list[tuple[int, Record]]]:
        """Reads images in order; yields (image, record) of some at a time.

        A chunk has 128 images, or fewer when they are large: memory stays within some MiB.

        Args:
            images: int [n], their numbers in the pool.
        """
        chunk, num_bytes = [], 0
        for image in images.tolist():
            record = self.read(image)
            chunk.append((image, record))
            num_bytes += len(record.encoded)
            if len(chunk) == _CHUNK_IMAGES or num_bytes >= _CHUNK_BYTES:
                yield chunk
                chunk, num_bytes = [], 0
        if chunk:
            yield chunk


@dataclass(frozen=True)
class Plan:
    """A conversion, ready to be written.

    Attributes:
        pool: where the images come from.
        labels: int32 [all images of the pool]: the new label; -1 for an image that is left out.
        identities: position = new label.
        order: int64 [chosen images]: the images as they follow each other through the shards.
        num_shards: > 0; their sizes differ by one at most.
    """

    pool: Pool
    labels: np.ndarray
    identities: list[Identity]
    order: np.ndarray
    num_shards: int

    @property
    def attribute_names(self) -> tuple[str, ...]:
        return tuple(sorted({n for source in self.pool.sources for n in source.attribute_names}))

    @property
    def images_per_identity(self) -> list[int]:
        return np.bincount(self.labels[self.order], minlength=len(self.identities)).tolist()

    @property
    def summaries(self) -> list[SourceSummary]:
        """What each source gives."""
        counts = self.pool.images_per_identity
        summaries = []
        for number, source in enumerate(self.pool.sources):
            own = counts[self.pool.first_labels[number] : self.pool.first_labels[number + 1]]
            summaries.append(
                SourceSummary(
                    name=source.name,
                    format=self.pool.formats[number],
                    num_images=int(own.sum()),
                    num_identities=int((own > 0).sum()),
                )
            )
        return summaries

    def shard(self, number: int) -> np.ndarray:
        """The images of one shard, in order.

        Args:
            number: of the shard, from 0 on.
        """
        return np.array_split(self.order, self.num_shards)[number]


def choose_identities(pool: Pool, identities_file: Path | None, exclude_file: Path | None) -> None:
    """Leaves out of `pool` who is not listed in the one file, or is listed in the other.

    Args:
        pool: all images there are.
        identities_file: whom to take, as `read_identity_list` reads it; None for everybody.
        exclude_file: whom not to take; None for nobody.

    Raises InputError: a file can't be read, or lists somebody who is not there.
    """
    if identities_file is not None:
        listed = read_identity_list(identities_file, pool.identities)
        pool.keep_identities(listed, f"not in {identities_file.name}")
    if exclude_file is not None:
        listed = read_identity_list(exclude_file, pool.identities)
        pool.keep_identities(~listed, f"listed in {exclude_file.name}")


def make_plan(pool: Pool, *, num_shards: int | None, seed: int, min_images: int) -> Plan:
    """Leaves out identities with few images, shuffles all that is chosen, deals it to shards.

    Args:
        pool: the images to choose from.
        num_shards: record files to write; None for as many as suit the number of images.
        seed: of the order.
        min_images: identities with fewer are left out.

    Raises InputError: nothing is left, or less than there are to be shards.
    """
    if min_images > 1:
        pool.keep_identities(
            pool.images_per_identity >= min_images, f"fewer than {min_images} images each"
        )
    kept = pool.images_per_identity > 0
    if not kept.any():
        raise InputError(
            "no identity is left to convert: see --include, --exclude and --min-images"
        )
    images = np.flatnonzero(pool.is_chosen)
    if num_shards is None:
        num_shards = min(-(-len(images) // _IMAGES_PER_SHARD), _MOST_SHARDS)
    if num_shards > len(images):
        raise InputError(f"{num_shards} shards are more than the {len(images)} images there are")
    new_labels = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
    return Plan(
        pool=pool,
        labels=np.where(pool.is_chosen, new_labels[pool.labels], np.int32(-1)),
        identities=[pool.identities[label] for label in np.flatnonzero(kept)],
        order=images[seeding.permutation(seeding.fold(seed), len(images))],
        num_shards=num_shards,
    )


def settings_of(pool: Pool, options: dict[str, Any]) -> dict[str, Any]:
    """Returns, as JSON can hold it, all that decides which bytes a conversion gives.

    Args:
        pool: after `choose_identities`.
        options: the rest of what was asked for.
    """
    return {
        "sources": [
            {"name": source.name, "format": format, "fingerprint": source.fingerprint}
            for format, source in zip(pool.formats, pool.sources, strict=True)
        ],
        "identities chosen": hashlib.sha256(np.packbits(pool.is_chosen)).hexdigest(),
        **options,
    }


def hash_of(settings: dict[str, Any]) -> str:
    """Two conversions of the same hash give the same bytes."""
    return hashlib.sha256(json.dumps([_VERSION, settings], sort_keys=True).encode()).hexdigest()


def _check_apart(opened: Sequence[OpenedSource]) -> None:
    """Refuses two sources of one name, or with the same files."""
    names = [source.name for _, source, _ in opened]
    if len(set(names)) < len(names):
        raise InputError(
            f"two sources have the same name ({', '.join(names)}): name them, as in a=PATH b=PATH"
        )
    for one, other in itertools.permutations(opened, 2):
        for inner, outer in itertools.product(one.paths, other.paths):
            if inner.resolve().is_relative_to(outer.resolve()) or inner.samefile(outer):
                raise InputError(
                    f"{inner}: is or lies in another source, {outer}, so its images would be there "
                    "twice: give it once"
                )
