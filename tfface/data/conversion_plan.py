"""What a conversion will write: which images, as whom, in which order, in which file."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfface.data import seeding
from tfface.data.dataset_folder import Identity, SourceSummary
from tfface.data.records import Record
from tfface.data.sources import RECOGNISED_BY, SOURCES
from tfface.errors import InputError

_IMAGES_PER_SHARD = 2048
_MOST_SHARDS = 256


@dataclass(frozen=True)
class Plan:
    """The images of all sources, counted through, and what becomes of them.

    Attributes:
        sources: opened.
        starts: int64 [sources + 1]: the number of each source's first image.
        labels: int64 [all images]: the new label; -1 for an image that is left out.
        identities: position = new label.
        order: int64 [kept images]: the images as they follow each other through the shards.
        num_shards: > 0; their sizes differ by one at most.
        summaries: what each source gives.
        settings: what was asked for, as JSON can hold it.
        left_out: (why, identities, images) for each reason not to choose an identity.
    """

    sources: list
    starts: np.ndarray
    labels: np.ndarray
    identities: list[Identity]
    order: np.ndarray
    num_shards: int
    summaries: list[SourceSummary]
    settings: dict[str, Any]
    left_out: list[tuple[str, int, int]]

    @property
    def seed(self) -> int:
        return self.settings["seed"]

    @property
    def attribute_names(self) -> tuple[str, ...]:
        return tuple(sorted({name for source in self.sources for name in source.attribute_names}))

    @property
    def images_per_identity(self) -> list[int]:
        return np.bincount(self.labels[self.order], minlength=len(self.identities)).tolist()

    @property
    def hash(self) -> str:
        """Two plans of the same hash give the same bytes."""
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode())
        for array in (self.order, self.labels):
            digest.update(np.ascontiguousarray(array, np.int64).tobytes())
        return digest.hexdigest()

    def shard(self, number: int) -> np.ndarray:
        """The images of one shard, in order."""
        return np.array_split(self.order, self.num_shards)[number]

    def read(self, image: int) -> Record:
        """Reads an image; with several sources, their name comes before the file's."""
        number = int(np.searchsorted(self.starts, image, side="right")) - 1
        source = self.sources[number]
        record = source.read(image - int(self.starts[number]))
        if len(self.sources) > 1:
            record = dataclasses.replace(record, filename=f"{source.name}/{record.filename}")
        return record


def make_plan(
    arguments: Sequence[str],
    *,
    format: str,
    num_shards: int | None,
    seed: int,
    identities_file: Path | None,
    min_images: int,
) -> Plan:
    """Opens the sources, chooses identities, shuffles.

    Args: as `tfface.data.convert.convert`.
    Raises InputError: a source is unusable, or nothing is left of them.
    """
    opened = [_open(argument, format) for argument in arguments]
    sources = [source for _, source in opened]
    names = [source.name for source in sources]
    if len(set(names)) < len(names):
        raise InputError(
            f"two sources have the same name ({', '.join(names)}): name them, as in a=PATH b=PATH"
        )
    identities = [identity for source in sources for identity in source.identities]
    if len(set(identities)) < len(identities):
        raise InputError(
            "two sources hold an identity of the same name and origin: name them, as in "
            "a=PATH b=PATH"
        )
    starts = np.cumsum([0] + [source.num_images for source in sources])
    first_labels = np.cumsum([0] + [source.num_identities for source in sources])
    labels = np.concatenate(
        [source.labels + first for source, first in zip(sources, first_labels, strict=False)]
    ).astype(np.int64)

    counts = np.bincount(labels, minlength=len(identities))
    kept = np.ones(len(identities), bool)
    left_out = []

    def keep_only(chosen: np.ndarray, why: str) -> None:
        dropped = kept & ~chosen
        kept[dropped] = False
        left_out.append((why, int(dropped.sum()), int(counts[dropped].sum())))

    if identities_file is not None:
        wanted = read_identity_names(identities_file, {identity.name for identity in identities})
        listed = np.array([identity.name in wanted for identity in identities])
        keep_only(listed, f"not in {identities_file.name}")
    if min_images > 1:
        keep_only(counts >= min_images, f"fewer than {min_images} images each")
    if not kept.any():
        raise InputError("no identity is left to convert: see --identities and --min-images")
    new_labels = np.where(kept, np.cumsum(kept) - 1, -1)[labels]
    images = np.flatnonzero(new_labels >= 0)
    if num_shards is None:
        num_shards = min(-(-len(images) // _IMAGES_PER_SHARD), _MOST_SHARDS)
    if num_shards > len(images):
        raise InputError(f"{num_shards} shards are more than the {len(images)} images there are")

    summaries = []
    for number, (format_name, source) in enumerate(opened):
        own = slice(first_labels[number], first_labels[number + 1])
        summaries.append(
            SourceSummary(
                name=source.name,
                format=format_name,
                num_images=int(counts[own][kept[own]].sum()),
                num_identities=int(kept[own].sum()),
            )
        )
    return Plan(
        sources=sources,
        starts=starts,
        labels=new_labels,
        identities=[identities[label] for label in np.flatnonzero(kept)],
        order=images[seeding.permutation(seeding.fold(seed), len(images))],
        num_shards=num_shards,
        summaries=summaries,
        settings={
            "sources": [
                {"name": source.name, "format": name, "fingerprint": source.fingerprint}
                for name, source in opened
            ],
            "seed": seed,
            "shards": num_shards,
            "identities": int(kept.sum()),
            "min_images": min_images,
        },
        left_out=left_out,
    )


def read_identity_names(path: Path, known: set[str]) -> set[str]:
    """Reads a list of identities: on each line a name, and after a tab or a space what you like.

    LFW's people lists are such files; a first line that is only a number is their count.

    Raises InputError: the file can't be read, is empty, or holds a name that is not in `known`.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    if lines and lines[0].strip().isdecimal() and lines[0].strip() not in known:
        lines = lines[1:]
    names, unknown = set(), []
    for line in filter(str.strip, lines):
        # Names may hold spaces, so the longer reading is tried first.
        readings = (line.strip(), line.split("\t")[0].strip(), line.split()[0])
        name = next((reading for reading in readings if reading in known), None)
        if name is None:
            unknown.append(readings[1])
        else:
            names.add(name)
    if unknown:
        raise InputError(
            f"{path}: lists identities that the sources don't have: {', '.join(unknown[:5])}"
            + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        )
    if not names:
        raise InputError(f"{path}: lists no identities")
    return names


def _open(argument: str, format: str) -> tuple[str, Any]:
    """Opens `path` or `name=path`; returns the format's name and the source."""
    name, equals, rest = argument.partition("=")
    # A path may hold the sign as well.
    named = bool(equals) and not Path(argument).exists()
    path = Path(rest if named else argument)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if format == "auto":
        format = next((key for key, fits in RECOGNISED_BY.items() if fits(path)), format)
    if format not in RECOGNISED_BY:
        if format == "auto":
            raise InputError(f"{path}: its format is not recognised: say which with --format")
        raise InputError(f"format '{format}' is not known: auto, {', '.join(RECOGNISED_BY)}")
    return format, SOURCES[format](path, name=name if named else None)
