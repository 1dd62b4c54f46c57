"""The union of several sources, in which identities of the same name are merged."""

import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tensorflow as tf
from pydantic import Field

from tfface import seeding
from tfface.data.records.example import Record, attribute_features
from tfface.data.records.manifest import Identity
from tfface.data.sources.image_files import ImageFiles, links_between_sources
from tfface.data.sources.image_source import ImageSource, ordered, reindexed
from tfface.data.sources.opening import open_nested, paths_in, read_nested
from tfface.data.sources.recordio import RecordIOSource
from tfface.errors import InputError
from tfface.names import warn_of_case
from tfface.paths import printable

# The attribute with the name of an image's member.
SOURCE = "source"
_MOST_NAMED = 5


class UnionSource(ImageSource):
    """All images of several sources, the members; identities are merged by name.

    The identities are those of the first member in its order, then the new ones of the second, and
    so on. The images of the members are concatenated.

    An image has the attributes of all members, "" if its own member lacks one, and the attribute
    `source` with the name of its member, unless a member has such an attribute. Members of equal
    names are distinguished by the folders above them.

    Args:
        of: the members, each a source with its options.
        name: the source's name in `Identity.source`; by default the members' names joined by `+`.
        paths_start: folder of relative paths in `of`.

    Raises:
        InputError: a member can't be opened, or has two identities of one name; two members hold
            the same images.

    Example:
        >>> faces = {"source": "synthetic", "images_per_identity": 3, "size": 32}
        >>> of = [{**faces, "num_identities": 2}, {**faces, "num_identities": 4, "seed": 1}]
        >>> source = UnionSource(of)
        >>> source.num_images, source.num_identities, source.attribute_names
        (18, 4, ('source',))
    """

    def __init__(
        self,
        of: Annotated[list[dict[str, Any]], Field(min_length=2)],
        *,
        name: str | None = None,
        paths_start: Path = Path(),
    ):
        parts = [
            read_nested(given, f"source union: of.{number}") for number, given in enumerate(of)
        ]
        members = [open_nested(part, paths_start) for part in parts]
        for number, member in enumerate(members):
            _check_names_differ(number, member)
        _check_apart(members)
        self._members = members
        self._names = _names(members, [paths_in(part.options) for part in parts], paths_start)
        self._starts = np.cumsum([0] + [member.num_images for member in members])
        self.name = name or "+".join(self._names)
        labels: dict[str, int] = {}
        for member in members:
            for identity in member.identities:
                labels.setdefault(identity.name, len(labels))
        warn_of_case(labels, f"union {self.name}")
        self._label_of = labels
        self.identities = [Identity(identity, self.name) for identity in labels]
        attributes = [name for member in members for name in member.attribute_names]
        self._adds_source = SOURCE not in attributes
        self.attribute_names = tuple(
            dict.fromkeys([*attributes, SOURCE] if self._adds_source else attributes)
        )
        self.is_stream = any(member.is_stream for member in members)
        sizes = {member.image_size for member in members}
        self.image_size = sizes.pop() if len(sizes) == 1 else None

    @property
    def num_images(self) -> int:
        # Available before the labels are read.
        return int(self._starts[-1])

    @cached_property
    def labels(self) -> np.ndarray:
        return np.concatenate(
            [
                np.array([self._label_of[name] for name in names], np.int32)[member.labels]
                for names, member in zip(self._member_identities, self._members, strict=True)
            ]
        )

    @cached_property
    def left_out(self) -> list[tuple[str, int, int]]:
        return [
            (f"{why} (in {name})", num_identities, num_images)
            for name, member in zip(self._names, self._members, strict=True)
            for why, num_identities, num_images in member.left_out
        ]

    @cached_property
    def notes(self) -> list[str]:
        """Sizes of the members, identities of a single member, and files in several members."""
        lines = [
            f"{name}: {member.num_images:,} images of {member.num_identities:,} identities"
            for name, member in zip(self._names, self._members, strict=True)
        ]
        times = Counter(itertools.chain.from_iterable(self._member_identities))
        strangers = []
        for name, identities in zip(self._names, self._member_identities, strict=True):
            alone = [identity for identity in identities if times[identity] == 1]
            if len(alone) == len(identities):
                strangers.append(f"'{name}' ({_listed(alone)})")
            elif alone:
                verb = "is" if len(alone) == 1 else "are"
                lines.append(
                    f"{len(alone):,} of {len(times):,} identities {verb} only in '{name}': "
                    f"{_listed(alone)}"
                )
        if strangers:
            lines.append(
                f"warning: no identity of {' or of '.join(strangers)} is in another source of the "
                "union. A union joins identities by name: check whether names or folders differ by "
                "mistake"
            )
        lines += links_between_sources(self._members, self._names)
        lines += [
            f"{name}: {note}"
            for name, member in zip(self._names, self._members, strict=True)
            for note in member.notes
        ]
        return [printable(line) for line in lines]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the members' names and fingerprints."""
        fingerprints = [member.fingerprint for member in self._members]
        content = repr(list(zip(self._names, fingerprints, strict=True)))
        return hashlib.sha256(content.encode()).hexdigest()

    def filename(self, index: int) -> str:
        number, inside = self._locate(index)
        return f"{self._names[number]}/{self._members[number].filename(inside)}"

    def read(self, index: int) -> Record:
        number, inside = self._locate(index)
        name, record = self._names[number], self._members[number].read(inside)
        attributes = dict(record.attributes)
        if self._adds_source:
            attributes |= attribute_features({SOURCE: name})
        return Record(record.encoded, f"{name}/{record.filename}", attributes)

    def origins(self, images: np.ndarray) -> list[tuple[ImageSource, np.ndarray]]:
        members = self._member_of(images)
        return [
            origin
            for number, member in enumerate(self._members)
            for origin in member.origins(images[members == number] - self._starts[number])
        ]

    def _attribute_values(self, name: str) -> np.ndarray:
        if name == SOURCE and self._adds_source:
            return np.repeat(np.array(self._names, object), np.diff(self._starts))
        return np.concatenate(
            [
                member.attribute(name)
                if name in member.attribute_names
                else np.full(member.num_images, "", object)
                for member in self._members
            ]
        )

    def encoded(
        self, indices: np.ndarray, shuffle_seed: int | None = None, first: int = 0
    ) -> tf.data.Dataset:
        """See `tfface.data.sources`; images of a member that is a stream are in its order.

        The order of all images determines the member of each position; each member reads its own
        images independently.
        """
        order = ordered(indices, shuffle_seed)
        member_at = self._member_of(order)
        used = np.unique(member_at[first:])
        if not len(used):
            return self._encoded_of(0, order[:0], None, 0)
        datasets = [
            self._encoded_of(
                number,
                order[member_at == number],
                shuffle_seed,
                int(np.count_nonzero(member_at[:first] == number)),
            )
            for number in used.tolist()
        ]
        choices = tf.data.Dataset.from_tensor_slices(np.searchsorted(used, member_at[first:]))
        return tf.data.Dataset.choose_from_datasets(datasets, choices)

    def _encoded_of(
        self, number: int, order: np.ndarray, shuffle_seed: int | None, first: int
    ) -> tf.data.Dataset:
        """Returns (index, encoded) of the images of a member in the given order."""
        member, start = self._members[number], int(self._starts[number])
        # A stream ignores the order and must shuffle by itself.
        seed = None
        if shuffle_seed is not None and member.is_stream:
            seed = seeding.fold(shuffle_seed, number)
        return reindexed(member.encoded(order - start, seed, first), lambda index: index + start)

    @property
    def _member_identities(self) -> list[list[str]]:
        return [[identity.name for identity in member.identities] for member in self._members]

    def _member_of(self, images: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._starts, images, side="right") - 1

    def _locate(self, index: int) -> tuple[int, int]:
        """Returns the member of an image, and its index in that member."""
        number = int(self._member_of(np.array(index)))
        return number, index - int(self._starts[number])


def _names(
    members: Sequence[ImageSource], paths: Sequence[list[Path]], paths_start: Path
) -> list[str]:
    """Returns a unique name for each member.

    Args:
        paths: of each member.
    """
    names = [member.name for member in members]
    if _differ(names):
        return names
    if all(len(found) == 1 for found in paths):
        # The shortest ends of the paths that differ.
        folders = [(paths_start / path).resolve().parts[1:] for [path] in paths]
        for depth in range(2, max(map(len, folders)) + 1):
            ends = ["/".join(parts[-depth:]) for parts in folders]
            if _differ(ends):
                return ends
    return [f"{name}-{number}" for number, name in enumerate(names, 1)]


def _differ(names: Sequence[str]) -> bool:
    return len(set(names)) == len(names)


def _check_names_differ(number: int, member: ImageSource) -> None:
    """Raises InputError: two identities of a member have the same name."""
    times = Counter(identity.name for identity in member.identities)
    name, most = times.most_common(1)[0]
    if most > 1:
        raise InputError(
            f"source union: of.{number}: {member.name} has {most} identities called "
            f"'{printable(name)}'. A union joins identities by name: convert the source again with "
            "one identity for each name"
        )


def _check_apart(members: Sequence[ImageSource]) -> None:
    """Raises InputError: two members have images in common."""
    origins = [member.origins(np.arange(member.num_images)) for member in members]
    for (one, these), (other, those) in itertools.combinations(enumerate(origins), 2):
        if any(_share_images(this, that) for this, that in itertools.product(these, those)):
            raise InputError(
                f"source union: of.{one} ({members[one].name}) and of.{other} "
                f"({members[other].name}) share images: give each image in one source only"
            )


def _share_images(
    one: tuple[ImageSource, np.ndarray], other: tuple[ImageSource, np.ndarray]
) -> bool:
    """Whether some images of two sources are the same."""
    (first, these), (second, those) = one, other
    if isinstance(first, ImageFiles) and isinstance(second, ImageFiles):
        roots = first.root.resolve(), second.root.resolve()
        # Otherwise all paths differ; there may be very many of them.
        if not any(a.is_relative_to(b) for a, b in itertools.permutations(roots)):
            return False
        paths, others = (
            {os.path.join(root, source.filename(index)) for index in images.tolist()}
            for root, (source, images) in zip(roots, (one, other), strict=True)
        )
        return not paths.isdisjoint(others)
    if first.fingerprint == second.fingerprint:
        return bool(len(np.intersect1d(these, those)))
    return not _record_files(first).isdisjoint(_record_files(second))


def _record_files(source: ImageSource) -> set[tuple[int, int]]:
    """Returns device and inode of the files of a source, which are equal for links."""
    files = [source.path] if isinstance(source, RecordIOSource) else source.record_files
    return {(stat.st_dev, stat.st_ino) for stat in map(os.stat, files)}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
